package mailsink

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// maxMail bounds one mail.
const maxMail = 4 << 20

// talk is one connection's conversation.
type talk struct {
	s       *Sink
	conn    net.Conn
	r       *textproto.Reader
	tls     bool
	user    string
	method  string
	message Message
}

func (s *Sink) talk(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	t := &talk{s: s, conn: c}
	if s.o.Implicit {
		t.secure()
	}
	t.read()
	if !t.say("CONNECT", "", "220 sink ESMTP") {
		return
	}
	for {
		line, err := t.r.ReadLine()
		if err != nil {
			return
		}
		command, arg, _ := strings.Cut(line, " ")
		if !t.obey(strings.ToUpper(command), arg) {
			return
		}
	}
}

func (t *talk) read() {
	t.r = textproto.NewReader(bufio.NewReader(io.LimitReader(t.conn, 64*maxMail)))
}

func (t *talk) secure() {
	t.conn = tls.Server(t.conn, &tls.Config{Certificates: []tls.Certificate{t.s.cert}})
	t.tls = true
}

// say answers a command, as told or as usual, and reports whether to go on.
func (t *talk) say(command, arg, usual string) bool {
	answer := ""
	if t.s.o.Answer != nil {
		answer = t.s.o.Answer(command, arg)
	}
	switch answer {
	case Drop:
		return false
	case "":
		answer = usual
	}
	_, err := io.WriteString(t.conn, answer+"\r\n")
	// What follows a refused DATA or STARTTLS is something else than usual.
	goesOn := command != "DATA" && command != "STARTTLS" || answer == usual
	return err == nil && goesOn
}

func (t *talk) obey(command, arg string) bool {
	switch command {
	case "EHLO", "HELO":
		return t.say("EHLO", arg, t.extensions())
	case "STARTTLS":
		if !t.say(command, arg, "220 go on") {
			return false
		}
		t.secure()
		t.read()
		return true
	case "AUTH":
		return t.auth(arg)
	case "NOOP", "RSET":
		t.message = Message{}
		return t.say(command, arg, "250 fine")
	case "QUIT":
		_ = t.say(command, arg, "221 bye")
		return false
	case "MAIL":
		if t.s.o.Username != "" && t.user == "" {
			return t.say(command, arg, "530 5.7.0 authenticate first")
		}
		t.message = Message{From: address(arg), TLS: t.tls, User: t.user, Method: t.method}
		return t.say(command, arg, "250 2.1.0 fine")
	case "RCPT":
		t.message.To = append(t.message.To, address(arg))
		return t.say(command, address(arg), "250 2.1.5 fine")
	case "DATA":
		return t.data()
	}
	return t.say(command, arg, "500 5.5.1 unknown")
}

func (t *talk) extensions() string {
	lines := []string{"250-sink", "250-8BITMIME", "250-SMTPUTF8", "250-ENHANCEDSTATUSCODES"}
	if !t.tls && !t.s.o.Plain {
		lines = append(lines, "250-STARTTLS")
	}
	if t.s.o.Username != "" && t.tls {
		lines = append(lines, "250-AUTH "+strings.Join(t.s.o.Methods, " ")+" NTLM")
	}
	return strings.Join(append(lines, "250 SIZE 4194304"), "\r\n")
}

func (t *talk) data() bool {
	if !t.say("DATA", "", "354 go on") {
		return false
	}
	text, err := t.body()
	if err != nil {
		return false
	}
	t.message.Raw = text
	to := strings.Join(t.message.To, " ")
	answer := "250 2.0.0 kept"
	if t.s.o.Answer != nil {
		if told := t.s.o.Answer("END", to); told != "" {
			answer = told
		}
	}
	// Kept first: a server that drops the connection now may have it or not.
	if strings.HasPrefix(answer, "2") {
		t.s.take(t.message)
	}
	if answer == Drop {
		return false
	}
	_, err = io.WriteString(t.conn, answer+"\r\n")
	return err == nil
}

// body reads the text, with its line ends as they came.
func (t *talk) body() (string, error) {
	var b strings.Builder
	for {
		line, err := t.r.ReadLine()
		switch {
		case err != nil:
			return "", err
		case line == ".":
			return b.String(), nil
		case b.Len() > maxMail:
			return "", errors.New("too long")
		}
		b.WriteString(strings.TrimPrefix(line, ".") + "\r\n")
	}
}

// address reads FROM:<a> or TO:<a>, with parameters behind.
func address(arg string) string {
	_, rest, _ := strings.Cut(arg, "<")
	inner, _, _ := strings.Cut(rest, ">")
	return inner
}
