package notify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// maxAge is how long a connection is used that is kept for the next letter: well
// below the five minutes that servers give (RFC 5321 §4.5.3.2).
const maxAge = 30 * time.Second

// SMTP sends letters by one server. It keeps connections for the next letter
// until Rest.
type SMTP struct {
	cfg     MailConfig
	from    *netmail.Address
	replyTo *netmail.Address // nil for none
	tls     *tls.Config
	now     func() time.Time

	mu   sync.Mutex
	idle []*line
}

// line is one connection to the server, ready for a letter.
type line struct {
	dialled *mail.Client
	server  *smtp.Client
	conn    net.Conn
	used    time.Time
}

// NewSMTP returns the sender of a section that has passed its Check. It connects
// to nothing.
func NewSMTP(cfg MailConfig) (*SMTP, error) {
	s := &SMTP{cfg: cfg, now: time.Now, tls: &tls.Config{ServerName: cfg.Host, MinVersion: tls.VersionTLS12}}
	var err error
	if s.from, err = parseMailbox(cfg.From); err != nil {
		return nil, fmt.Errorf("read sender: %w", err)
	}
	if cfg.ReplyTo != "" {
		if s.replyTo, err = parseMailbox(cfg.ReplyTo); err != nil {
			return nil, fmt.Errorf("read reply address: %w", err)
		}
	}
	if cfg.CA != "" {
		if s.tls.RootCAs, err = authorities(cfg.CA); err != nil {
			return nil, fmt.Errorf("read certificates: %w", err)
		}
	}
	return s, nil
}

// Send implements Sender.
func (s *SMTP) Send(ctx context.Context, l Letter) (string, error) {
	for {
		at, kept := s.take()
		if !kept {
			var err error
			if at, err = s.connect(ctx); err != nil {
				return "", err
			}
		}
		answer, err := s.sendOver(ctx, at, l)
		var failed *DeliveryError
		if kept && errors.As(err, &failed) && failed.Step == stepIdle && ctx.Err() == nil {
			continue // the server closed it meanwhile, before anything was said
		}
		return answer, err
	}
}

// Rest implements Sender.
func (s *SMTP) Rest() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, at := range idle {
		_ = at.server.UpdateDeadline(time.Second) // a server that does not answer is left
		_ = at.server.Quit()
		_ = at.conn.Close()
	}
}

// take returns a kept connection that is young enough.
func (s *SMTP) take() (*line, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := len(s.idle); n > 0; n = len(s.idle) {
		at := s.idle[n-1]
		s.idle = s.idle[:n-1]
		if s.now().Sub(at.used) < maxAge {
			return at, true
		}
		_ = at.conn.Close()
	}
	return nil, false
}

func (s *SMTP) keep(at *line) {
	at.used = s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = append(s.idle, at)
}

// The steps of a delivery, as errors name them.
const (
	stepConnect = "connect"
	stepIdle    = "use a kept connection"
	stepSender  = "sender"
	stepRcpt    = "recipient"
	stepData    = "data"
	stepWrite   = "write"
)

// connect dials, begins TLS and authenticates.
func (s *SMTP) connect(ctx context.Context) (*line, error) {
	at := &line{}
	// The library waits for the server without looking at ctx; a closed
	// connection ends that.
	var stop func() bool
	dial := func(dialling context.Context, network, _ string) (net.Conn, error) {
		address := net.JoinHostPort(s.cfg.Host, strconv.Itoa(s.cfg.Port))
		var err error
		if s.cfg.TLS == Implicit {
			at.conn, err = (&tls.Dialer{Config: s.tls}).DialContext(dialling, network, address)
		} else {
			at.conn, err = (&net.Dialer{}).DialContext(dialling, network, address)
		}
		if err != nil {
			at.conn = nil
			return nil, err
		}
		stop = context.AfterFunc(ctx, func() { _ = at.conn.Close() })
		return at.conn, nil
	}
	policy := mail.NoTLS
	if s.cfg.TLS == StartTLS {
		policy = mail.TLSMandatory
	}
	options := []mail.Option{
		mail.WithTimeout(s.cfg.Timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(s.tls.Clone()),
		mail.WithDialContextFunc(dial), mail.WithPort(s.cfg.Port),
	}
	if s.cfg.HELO != "" {
		options = append(options, mail.WithHELO(s.cfg.HELO))
	}
	if s.cfg.Username != "" {
		// Over TLS alone, so that PLAIN is as good as any; what is weaker is used
		// only where the server knows nothing else.
		options = append(options, mail.WithUsername(s.cfg.Username), mail.WithPassword(s.cfg.Password.Reveal()),
			mail.WithOpportunisticSMTPAuth(mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthPlain, mail.SMTPAuthLogin))
	}
	var err error
	if at.dialled, err = mail.NewClient(s.cfg.Host, options...); err != nil {
		return nil, &DeliveryError{Step: stepConnect, Err: err}
	}
	at.server, err = at.dialled.DialToSMTPClientWithContext(ctx)
	if stop != nil {
		stop()
	}
	if err != nil {
		if at.conn != nil {
			_ = at.conn.Close()
		}
		return nil, connectError(err)
	}
	return at, nil
}

// connectError keeps the server's words out of the error's own.
func connectError(err error) error {
	var said *textproto.Error
	if errors.As(err, &said) {
		return &DeliveryError{Step: stepConnect, Code: said.Code, Answer: err.Error()}
	}
	return &DeliveryError{Step: stepConnect, Answer: err.Error(), Err: err}
}

// sendOver sends a letter over an open connection, which it keeps or closes.
func (s *SMTP) sendOver(ctx context.Context, at *line, l Letter) (string, error) {
	msg, err := s.compose(l)
	if err != nil {
		_ = at.conn.Close()
		return "", &DeliveryError{Step: stepWrite, Permanent: true, Err: err}
	}
	stop := context.AfterFunc(ctx, func() { _ = at.conn.Close() })
	defer stop()
	if err := at.server.UpdateDeadline(s.cfg.Timeout); err != nil {
		_ = at.conn.Close()
		return "", &DeliveryError{Step: stepIdle, Err: err}
	}
	err = at.dialled.SendWithSMTPClient(at.server, msg)
	// Taken is taken, whatever happened after the server's word.
	if err != nil && !msg.IsDelivered() {
		_ = at.conn.Close()
		return "", sendError(err)
	}
	if err != nil || ctx.Err() != nil {
		_ = at.conn.Close()
	} else {
		s.keep(at)
	}
	return msg.ServerResponse(), nil
}

// sendError keeps what may name the recipient out of the error's text. What the
// server says about recipient or content is for good when it says so; about all
// else the operator may be able to do something.
func sendError(err error) error {
	var failed *mail.SendError
	if !errors.As(err, &failed) {
		return &DeliveryError{Step: stepData, Answer: err.Error()}
	}
	e := &DeliveryError{Code: failed.ErrorCode(), Answer: err.Error()}
	switch failed.Reason {
	case mail.ErrConnCheck:
		e.Step = stepIdle
	case mail.ErrSMTPMailFrom, mail.ErrGetSender:
		e.Step = stepSender
	case mail.ErrSMTPRcptTo, mail.ErrGetRcpts:
		e.Step = stepRcpt
		e.Permanent = e.Code >= 500
	default:
		e.Step = stepData
		e.Permanent = e.Code >= 500
	}
	return e
}

// compose writes a letter as a mail: text and HTML as alternatives. Every header
// is made of parsed addresses, of our own words or of one line of text.
func (s *SMTP) compose(l Letter) (*mail.Msg, error) {
	if !ValidAddress(l.To) {
		return nil, fmt.Errorf("%w: the recipient is no mail address", ErrInvalid)
	}
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(s.from)
	m.ToMailAddress(&netmail.Address{Address: l.To})
	if s.replyTo != nil {
		m.ReplyToMailAddress(s.replyTo)
	}
	m.Subject(printable(strings.Join(strings.Fields(l.Subject), " ")))
	_, domain, _ := strings.Cut(s.from.Address, "@")
	// The same each time, so that a letter that came twice can be told.
	m.SetMessageIDWithValue(strings.ToLower(l.ID) + "@" + domain)
	m.SetDateWithValue(s.now())
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	m.SetGenHeader("X-Auto-Response-Suppress", "All")
	if langForm.MatchString(l.Lang) {
		m.SetGenHeader("Content-Language", l.Lang)
	}
	m.SetBodyString(mail.TypeTextPlain, l.Text)
	if l.HTML != "" {
		m.AddAlternativeString(mail.TypeTextHTML, l.HTML)
	}
	return m, nil
}
