package mailsink

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say what server a sink is.
type Options struct {
	// Addr is where it listens; default a free port of 127.0.0.1.
	Addr string
	// Implicit begins TLS with the first byte. Otherwise STARTTLS is offered,
	// unless Plain.
	Implicit, Plain bool
	// Username and Password must be given before mail is taken; "" asks for none.
	Username, Password string
	// Methods are those of AUTH that are offered; default AuthPlain.
	Methods []string
	// Impostor has it fail to prove that it knows the password, in SCRAM.
	Impostor bool
	// Answer may change what the server says to a command, by name: CONNECT,
	// EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA (before the text), END (after it),
	// NOOP, RSET. arg is the rest of the line; the recipient for END. "" is the
	// usual answer, Drop closes the connection without a word. It may wait. Mail
	// is kept when the answer to END is the usual one or begins with 2.
	Answer func(command, arg string) string
}

// Drop, as an answer, closes the connection.
const Drop = "\x00drop"

// Message is one mail as it came.
type Message struct {
	From string
	To   []string
	// Header and Body are as parsed by net/mail; Raw is all of it.
	Header mail.Header
	Body   string
	Raw    string
	// TLS, User and Method tell how it came; the latter are "" without
	// authentication.
	TLS          bool
	User, Method string
}

// Sink is a running server. It is safe for concurrent use.
type Sink struct {
	o    Options
	ln   net.Listener
	cert tls.Certificate
	pem  []byte
	wg   sync.WaitGroup

	mu       sync.Mutex
	messages []Message
	came     chan struct{} // closed when a message comes
	conns    map[net.Conn]bool
	dialled  int
	closed   bool
}

// New starts a sink; Close ends it.
func New(o Options) (*Sink, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Methods == nil {
		o.Methods = []string{AuthPlain}
	}
	s := &Sink{o: o, came: make(chan struct{}), conns: map[net.Conn]bool{}}
	if err := s.makeCertificate(); err != nil {
		return nil, err
	}
	var err error
	if s.ln, err = net.Listen("tcp", o.Addr); err != nil {
		return nil, err
	}
	s.wg.Go(s.accept)
	return s, nil
}

// makeCertificate makes a certificate for localhost and 127.0.0.1 that signs
// itself.
func (s *Sink) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail sink"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return err
	}
	s.cert = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	s.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return nil
}

// CA returns the certificate to trust, in PEM.
func (s *Sink) CA() []byte { return slices.Clone(s.pem) }

// Addr returns host and port.
func (s *Sink) Addr() string { return s.ln.Addr().String() }

// Port returns the port.
func (s *Sink) Port() int { return s.ln.Addr().(*net.TCPAddr).Port }

// Connections returns how many connections were made so far.
func (s *Sink) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dialled
}

// Messages returns what came, oldest first.
func (s *Sink) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Wait returns the newest message to an address, as soon as there is one.
func (s *Sink) Wait(ctx context.Context, to string) (Message, error) {
	for {
		s.mu.Lock()
		came, all := s.came, s.messages
		s.mu.Unlock()
		for _, m := range slices.Backward(all) {
			if slices.Contains(m.To, to) {
				return m, nil
			}
		}
		select {
		case <-ctx.Done():
			return Message{}, fmt.Errorf("no mail to %s among %d: %w", to, len(all), ctx.Err())
		case <-came:
		}
	}
}

// Count waits until n messages have come.
func (s *Sink) Count(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		came, have := s.came, len(s.messages)
		s.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d mails of %d: %w", have, n, ctx.Err())
		case <-came:
		}
	}
}

// Clear forgets what came.
func (s *Sink) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = nil
}

// Close ends the server and its connections.
func (s *Sink) Close() error {
	s.mu.Lock()
	s.closed = true
	err := s.ln.Close()
	for c := range s.conns {
		err = errors.Join(err, ignoreClosed(c.Close()))
	}
	s.mu.Unlock()
	s.wg.Wait()
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (s *Sink) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		if s.closed {
			_ = c.Close()
			s.mu.Unlock()
			return
		}
		s.conns[c] = true
		s.dialled++
		s.mu.Unlock()
		s.wg.Go(func() {
			defer func() {
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				_ = c.Close()
			}()
			s.talk(c)
		})
	}
}

func (s *Sink) take(m Message) {
	if parsed, err := mail.ReadMessage(strings.NewReader(m.Raw)); err == nil {
		m.Header = parsed.Header
		_, m.Body, _ = strings.Cut(m.Raw, "\r\n\r\n")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.came)
	s.came = make(chan struct{})
}

// Hangup closes every open connection, as a server does with idle ones.
func (s *Sink) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}
