package httpx

import "net/http"

// CheckNavigation returns an *Error with 403 when the browser says that r is
// anything but a person opening a page: a fetch, a frame, a script, an image.
// A browser that says nothing passes; the checks of forms do not rely on it.
func CheckNavigation(r *http.Request) error {
	if !headerIs(r, "Sec-Fetch-Mode", "navigate") || !headerIs(r, "Sec-Fetch-Dest", "document") {
		return &Error{Status: http.StatusForbidden, Public: "this page opens only in a window of its own"}
	}
	return nil
}

// CheckFormPost returns an *Error with 403 unless r was sent by a page of
// origin ("https://login.example.com", without a slash at the end). The
// browser must say so: by Origin, or without one by Sec-Fetch-Site. The origin
// comes from the configuration, never from Host, which an attacker may choose.
func CheckFormPost(r *http.Request, origin string) error {
	if err := CheckNavigation(r); err != nil {
		return err
	}
	sent := r.Header.Values("Origin")
	site := r.Header.Values("Sec-Fetch-Site")
	named := len(sent) == 1 && sent[0] == origin
	said := len(site) == 1 && site[0] == "same-origin"
	if named && (said || len(site) == 0) || said && len(sent) == 0 {
		return nil
	}
	return &Error{Status: http.StatusForbidden, Public: "this form was not sent by a page of ours"}
}

// headerIs tells whether the header is absent or has this one value.
func headerIs(r *http.Request, name, want string) bool {
	values := r.Header.Values(name)
	return len(values) == 0 || len(values) == 1 && values[0] == want
}
