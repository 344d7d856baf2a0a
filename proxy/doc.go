// Package proxy answers requests: it asks who is asking, whether they may, and
// then passes the request on or refuses.
//
// It owns the verdict on a request (Gate), the way a verdict is answered
// (Handler), the gateway's own pages under /_gatehouse/ and the callback
// /oauth2/idpresponse, and the streams that outlive their decision.
//
// The order of events is always the same and the same for everybody:
//
//	canon      bytes of a request → the one canonical request
//	site       host → public URL                      (unknown: 404)
//	ours       /_gatehouse/**, the callback, the issuer: never the upstream
//	route      host, path, method → route, variables  (none: 404, closed)
//	identity   bearer or cookie → session.Identity    (bad bearer: 401)
//	body       where the route judges it, of somebody (slow: 408)
//	policy     Query → allow, deny or step up         (sign in, 401, 403)
//	headers    strip, rebuild, sign
//	upstream   forward
//
// What was worked out about a credential is remembered by package principal. At its
// end each request is told to the Observer, for the access log and for figures.
//
// Gate.Check decides and writes nothing; Handler writes and decides nothing.
// Gate.Ask and Gate.Judge decide alike about somebody who is known already.
//
// A request uses one Gate from beginning to end, its policy, routes, headers and
// upstreams. Handler.Swap puts another in its place; what lasts is decided again
// on it.
//
// It must not know OAuth, SQL, Redis or the provider: signing in is a SignIn,
// verifying a token a TokenVerifier, and both are handed in.
package proxy
