// Package route answers: which route takes this request?
//
// A Table is compiled once from the `match` parts of the configuration and is
// then asked with the parts of a canonical request: host, decoded path, method
// and whether a web socket is wanted. The first route in the order of the
// configuration that takes the request wins; identity plays no part. When no
// route takes it, the request is refused: there is no fallback.
//
// # Patterns
//
// A path pattern begins with "/" and is compared with the decoded path, byte
// for byte, case included:
//
//	/healthz      this path
//	/img/*        one more segment, not empty; never crosses a "/"
//	/img/*.png    part of a segment
//	/admin/**     /admin, /admin/, /admin/x, /admin/x/y; not /administrator
//	/t/{tenant}   what /t/* takes; the segment is the path variable tenant
//	/**           everything
//
// A slash at the end, of the pattern or of the path, makes no difference: most
// applications answer /report/ as they answer /report, so a rule for one that
// left the other to a later, looser rule would protect nothing.
//
// # Lookup
//
// Each host has a tree of path segments. A node holds the routes whose pattern
// ends there, each with its methods as a bit set, and the lowest route index
// below it, so that branches which could only give a later route are not
// entered. A lookup allocates nothing and its time does not grow with the
// number of routes, only with the number of patterns with a "*" inside a
// segment at one and the same place.
//
// The package owns patterns and their order. It must not know what a route
// does: identity, policy, upstreams.
package route
