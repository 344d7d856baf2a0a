package httpx

import "net/http"

// Bare returns the ResponseWriter that w wraps, at the bottom, or w itself. It is
// for what looks for methods that only the server's own has, as MaxBytesReader
// does to hang up on a body that is too large.
func Bare(w http.ResponseWriter) http.ResponseWriter {
	for {
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return w
		}
		w = wrapped.Unwrap()
	}
}
