package oidc

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/httpx"
)

// The error codes of RFC 6749 §5.2 and RFC 6750 §3.1 that endpoints answer with.
const (
	codeInvalidRequest     = "invalid_request"
	codeInvalidClient      = "invalid_client"
	codeInvalidGrant       = "invalid_grant"
	codeInvalidScope       = "invalid_scope"
	codeInvalidToken       = "invalid_token"
	codeUnauthorizedClient = "unauthorized_client"
	codeUnsupportedGrant   = "unsupported_grant_type"
	// OpenID Connect Core Unmet Authentication Requirements 1.0 §2.
	codeUnmet = "unmet_authentication_requirements"
)

// bad is a 400 with a code of RFC 6749 §5.2.
func bad(code, public string, cause error) error {
	return &httpx.Error{Status: http.StatusBadRequest, Code: code, Public: public, Err: cause}
}

// unavailable is the answer when the store or the signer failed: nothing was
// decided, and trying again is right. A caller that has gone stays gone.
func unavailable(cause error) error {
	var known *httpx.Error
	if errors.As(cause, &known) || errors.Is(cause, context.Canceled) {
		return cause
	}
	return &httpx.Error{
		Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable",
		Public: "the provider cannot answer now", RetryAfter: time.Second, Err: cause,
	}
}
