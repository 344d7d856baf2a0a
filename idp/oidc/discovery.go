package oidc

import (
	"net/http"
	"slices"

	"gatehouse/idp/client"
	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// metadata is the discovery document (OpenID Connect Discovery §3, RFC 8414 §2).
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	ScopesSupported       []string `json:"scopes_supported"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	Challenges            []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported"`
	Claims                []string `json:"claims_supported"`
	ACRs                  []string `json:"acr_values_supported,omitempty"`
	IssInResponse         bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameter       bool     `json:"claims_parameter_supported"`
	RequestParameter      bool     `json:"request_parameter_supported"`
	// Absent means true for this one.
	RequestURIParameter bool `json:"request_uri_parameter_supported"`
}

// Discovery answers GET /.well-known/openid-configuration. Every URL in it
// comes from the configured issuer, never from the request.
func (h *Handler) Discovery(w http.ResponseWriter, r *http.Request) error {
	scopes := []string{client.OpenID, client.Email, client.Phone, client.Profile}
	registered, err := h.Clients.Scopes(r.Context())
	if err != nil {
		return unavailable(err)
	}
	for _, s := range registered {
		scopes = append(scopes, s.Name)
	}
	slices.Sort(scopes[4:])
	var classes []string
	if h.Machine.CanBeStrong() {
		classes = []string{signin.ACR}
	}
	secret := []string{"client_secret_basic", "client_secret_post"}
	either := append(slices.Clone(secret), "none")
	cacheable(w)
	httpx.WriteJSON(w, http.StatusOK, metadata{
		Issuer:                h.issuer,
		AuthorizationEndpoint: h.issuer + PathAuthorize,
		TokenEndpoint:         h.issuer + PathToken,
		UserInfoEndpoint:      h.issuer + PathUserInfo,
		JWKSURI:               h.issuer + PathJWKS,
		EndSessionEndpoint:    h.issuer + PathLogout,
		RevocationEndpoint:    h.issuer + PathRevoke,
		IntrospectionEndpoint: h.issuer + PathIntrospect,
		ScopesSupported:       scopes,
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{client.AuthorizationCode, client.RefreshToken, client.ClientCredentials},
		SubjectTypes:          []string{"public"},
		IDTokenAlgs:           []string{"RS256"},
		TokenAuth:             either,
		RevocationAuth:        either,
		IntrospectionAuth:     secret,
		Challenges:            []string{"S256"},
		Prompts:               []string{"none", "login", "select_account", "consent"},
		Claims: []string{
			"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash",
			"email", "email_verified", "name", "preferred_username", "cognito:username", "cognito:groups",
		},
		ACRs:          classes,
		IssInResponse: true,
	})
	return nil
}

// JWKS answers GET /.well-known/jwks.json. A new key is published long before
// it signs, so that the answer may be kept for a while.
func (h *Handler) JWKS(w http.ResponseWriter, r *http.Request) error {
	set, err := h.Keys.Public(r.Context())
	if err != nil {
		return unavailable(err)
	}
	cacheable(w)
	httpx.WriteJSON(w, http.StatusOK, set)
	return nil
}

func cacheable(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "public, max-age=300")
}
