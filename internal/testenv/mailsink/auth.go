package mailsink

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Methods of AUTH.
const (
	AuthPlain = "PLAIN"         // RFC 4616
	AuthLogin = "LOGIN"         // a draft that many servers know alone
	AuthSCRAM = "SCRAM-SHA-256" // RFC 5802 and 7677
)

// iterations of SCRAM, as RFC 7677 wants them at least.
const iterations = 4096

var (
	errGone  = errors.New("the client has gone")
	errWrong = errors.New("wrong username or password")
)

// auth takes AUTH (RFC 4954).
func (t *talk) auth(arg string) bool {
	method, first, _ := strings.Cut(arg, " ")
	methods := map[string]func(first string) error{AuthPlain: t.plain, AuthLogin: t.login, AuthSCRAM: t.scram}
	err := errWrong
	if take := methods[method]; take != nil && slices.Contains(t.s.o.Methods, method) {
		err = take(first)
	}
	switch {
	case errors.Is(err, errGone):
		return false
	case err != nil:
		return t.say("AUTH", method, "535 5.7.8 "+err.Error())
	}
	t.user, t.method = t.s.o.Username, method
	return t.say("AUTH", method, "235 2.7.0 welcome")
}

// ask sends a challenge and returns the answer to it.
func (t *talk) ask(challenge string) (string, error) {
	if _, err := io.WriteString(t.conn, "334 "+base64.StdEncoding.EncodeToString([]byte(challenge))+"\r\n"); err != nil {
		return "", errGone
	}
	line, err := t.r.ReadLine()
	if err != nil {
		return "", errGone
	}
	return decode(line)
}

// opening returns what the client says first: with the command, or asked for.
func (t *talk) opening(first string) (string, error) {
	if first == "" {
		return t.ask("")
	}
	return decode(first)
}

func decode(text string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", errWrong
	}
	return string(b), nil
}

func (t *talk) plain(first string) error {
	text, err := t.opening(first)
	if err != nil {
		return err
	}
	if text != "\x00"+t.s.o.Username+"\x00"+t.s.o.Password {
		return errWrong
	}
	return nil
}

func (t *talk) login(string) error {
	name, err := t.ask("Username:")
	if err != nil {
		return err
	}
	password, err := t.ask("Password:")
	if err != nil {
		return err
	}
	if name != t.s.o.Username || password != t.s.o.Password {
		return errWrong
	}
	return nil
}

func (t *talk) scram(first string) error {
	opening, err := t.opening(first)
	if err != nil {
		return err
	}
	bare, ok := strings.CutPrefix(opening, "n,,")
	name, nonce, found := strings.Cut(bare, ",r=")
	if !ok || !found || name != "n="+t.s.o.Username {
		return errWrong
	}
	nonce += rand.Text()
	salt := []byte(rand.Text())
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(salt), iterations)
	final, err := t.ask(challenge)
	if err != nil {
		return err
	}
	without, proof, found := strings.Cut(final, ",p=")
	if !found || without != "c=biws,r="+nonce {
		return errWrong
	}
	salted := hi([]byte(t.s.o.Password), string(salt))
	key, all := sum(salted, "Client Key"), bare+","+challenge+","+without
	stored := sha256.Sum256(key)
	for i, b := range sum(stored[:], all) {
		key[i] ^= b
	}
	if proof != base64.StdEncoding.EncodeToString(key) {
		return errWrong
	}
	// The server proves that it knows the password as well.
	signature := sum(sum(salted, "Server Key"), all)
	if t.s.o.Impostor {
		signature[0] ^= 1
	}
	_, err = t.ask("v=" + base64.StdEncoding.EncodeToString(signature))
	return err
}

// hi is Hi of RFC 5802 §2.2.
func hi(password []byte, salt string) []byte {
	last := sum(password, salt+"\x00\x00\x00\x01")
	all := slices.Clone(last)
	for range iterations - 1 {
		last = sum(password, string(last))
		for i, b := range last {
			all[i] ^= b
		}
	}
	return all
}

func sum(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
