package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// maxSecret bounds what is read as a secret, in bytes.
const maxSecret = 64 << 10

// secret reads a secret: from the file named by from, from standard input for
// "-", or for "" by a prompt that does not show it. One trailing line break is
// not part of it.
func (s *settings) secret(from, prompt string) (string, error) {
	switch from {
	case "":
		return s.prompt(prompt)
	case "-":
		return readSecret(s.In)
	}
	f, err := os.Open(from)
	if err != nil {
		return "", usage("read %s: %w", prompt, err)
	}
	defer f.Close()
	return readSecret(f)
}

func readSecret(r io.Reader) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(text) > maxSecret {
		return "", usage("the secret is longer than %d bytes", maxSecret)
	}
	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", usage("the secret is empty")
	}
	return secret, nil
}

// prompt asks twice on a terminal, so that a slip of the finger is seen.
func (s *settings) prompt(what string) (string, error) {
	in, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usage("no terminal to ask for the %s: give it with --password-file FILE, or - for standard input", what)
	}
	first, err := s.ask(in, what)
	if err != nil {
		return "", err
	}
	again, err := s.ask(in, what+" again")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", usage("the two do not match")
	}
	return first, nil
}

func (s *settings) ask(in *os.File, what string) (string, error) {
	fmt.Fprintf(s.Err, "%s: ", what)
	before, err := term.GetState(int(in.Fd()))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	secret, err := typed(s.ctx, func() ([]byte, error) { return term.ReadPassword(int(in.Fd())) })
	fmt.Fprintln(s.Err)
	if err != nil {
		// What is left behind keeps the terminal silent.
		return "", errors.Join(fmt.Errorf("read %s: %w", what, err), term.Restore(int(in.Fd()), before))
	}
	if len(secret) == 0 {
		return "", usage("the %s is empty", what)
	}
	return string(secret), nil
}

// confirm asks a yes-or-no question unless yes is set.
func (s *settings) confirm(yes bool, format string, a ...any) error {
	if yes {
		return nil
	}
	in, ok := s.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return usage("no terminal to ask on: say --yes")
	}
	fmt.Fprintf(s.Err, format+" [y/N] ", a...)
	line, err := typed(s.ctx, func() (string, error) { return bufio.NewReader(in).ReadString('\n') })
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read answer: %w", err)
	}
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return usage("nothing was changed")
	}
	return nil
}
