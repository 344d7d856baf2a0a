package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"
)

// SignatureHeader is the header that signs a call: t=SECONDS,v1=HEX, where
// SECONDS is the time since the Unix epoch, and HEX the HMAC-SHA256 under the
// shared secret of SECONDS, a dot, and the body as sent.
const SignatureHeader = "Gatehouse-Signature"

// maxAnswer is how much of an answer is read.
const maxAnswer = 64 << 10

// Webhook sends text messages by calling a webhook.
type Webhook struct {
	cfg    SMSConfig
	client *http.Client
	now    func() time.Time
}

// NewWebhook returns the sender of a section that has passed its Check. It connects
// to nothing.
func NewWebhook(cfg SMSConfig) *Webhook {
	dialer := &net.Dialer{Timeout: cfg.Timeout, Control: refuseLinkLocal}
	return &Webhook{cfg: cfg, now: time.Now, client: &http.Client{
		Timeout: cfg.Timeout,
		// No proxy from the environment: the file says who learns the codes.
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxResponseHeaderBytes: maxAnswer, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: parallel},
		// A redirect is an answer like any other: the body goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var errLinkLocal = errors.New("the address is that of no gateway for messages")

// refuseLinkLocal sees the address after the name was resolved: link-local ones
// are where clouds keep their credentials.
func refuseLinkLocal(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return errLinkLocal
	}
	return nil
}

// smsCall is the body of a call.
type smsCall struct {
	ID   string `json:"id"`
	To   string `json:"to"`
	Text string `json:"text"`
	Kind Kind   `json:"kind"`
}

// Send implements Sender.
func (s *Webhook) Send(ctx context.Context, l Letter) (string, error) {
	body, err := json.Marshal(smsCall{ID: l.ID, To: l.To, Text: l.Text, Kind: l.Kind})
	if err != nil {
		return "", &DeliveryError{Step: stepWrite, Permanent: true, Err: err}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL.String(), bytes.NewReader(body))
	if err != nil {
		return "", &DeliveryError{Step: stepWrite, Err: err}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gatehouse")
	req.Header.Set(SignatureHeader, Sign([]byte(s.cfg.Secret.Reveal()), s.now(), body))
	res, err := s.client.Do(req)
	if err != nil {
		// The text of a url.Error has the URL, whose path may be a secret.
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return "", &DeliveryError{Step: stepConnect, Err: err, Answer: err.Error()}
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	answer := fmt.Sprintf("%s %.200q", res.Status, text)
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return answer, nil // taken, even if the rest of the answer was lost
	case err != nil:
		return "", &DeliveryError{Step: stepData, Code: res.StatusCode, Err: err}
	}
	// Only these say that the message itself is wrong; all else can be mended.
	permanent := res.StatusCode == http.StatusBadRequest || res.StatusCode == http.StatusUnprocessableEntity
	return "", &DeliveryError{Step: stepData, Code: res.StatusCode, Permanent: permanent, Answer: answer}
}

// Rest implements Sender.
func (s *Webhook) Rest() { s.client.CloseIdleConnections() }

// Sign returns the value of SignatureHeader for a body sent at a time.
func Sign(secret []byte, at time.Time, body []byte) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + ".")) // a hash never returns an error
	mac.Write(body)
	return "t=" + stamp + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
