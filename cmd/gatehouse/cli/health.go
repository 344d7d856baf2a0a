package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

func newHealth(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Ask the gateway of this configuration whether it answers",
		Long: `Ask the gateway of this configuration whether it answers. It is for the
health check of a container that has no shell. Exit code 3 means it does not.`,
		Example: "  gatehouse health\n  gatehouse health --config /etc/gatehouse/gatehouse.yaml",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			c := plan.Config
			addr, err := localAddr(c.Listen.Addrs[0])
			if err != nil {
				return usage("%w", err)
			}
			if err := probe(cmd.Context(), addr, c.PublicURL[0].Host, c.TLS != nil); err != nil {
				return unreachable(fmt.Errorf("no answer at %s: %w", addr, err))
			}
			fmt.Fprintln(s.Out, "ok")
			return nil
		},
	}
}

// localAddr turns a listen address into one to connect to.
func localAddr(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// probe asks for the health page. The certificate is not verified: the
// question is whether our own process answers on our own machine, and nothing
// is sent to it.
func probe(ctx context.Context, addr, host string, useTLS bool) error {
	scheme := "http"
	if useTLS {
		scheme = "https"
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/_gatehouse/health", nil)
	if err != nil {
		return err
	}
	req.Host = host
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	if err := res.Body.Close(); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return errors.New("it answered " + res.Status)
	}
	return nil
}
