package telemetry

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Limits of the server: it is asked by few and answers briefly.
const (
	maxHead     = 16 << 10
	headTimeout = 5 * time.Second
	readTimeout = 10 * time.Second
	answerTime  = 20 * time.Second
	idleTimeout = 120 * time.Second
	atOnce      = 8
)

// Handler answers /metrics, /livez and /readyz, and nothing else. ready tells
// whether new requests are welcome; it is called for each question.
func (m *Metrics) Handler(ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: atOnce, Timeout: answerTime / 2,
	}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready() {
			tell(w, http.StatusOK, "ok\n")
			return
		}
		tell(w, http.StatusServiceUnavailable, "not ready\n")
	})
	return mux
}

func tell(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // the asker has gone
}

// Serve answers on ln until ctx ends, and closes it.
func (m *Metrics) Serve(ctx context.Context, ln net.Listener, ready func() bool, log *slog.Logger) {
	srv := &http.Server{
		Handler: m.Handler(ready), MaxHeaderBytes: maxHead,
		ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: answerTime, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := srv.Serve(ln); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.ErrorContext(ctx, "telemetry is not told any more", "error", err)
		}
	}()
	select {
	case <-ctx.Done():
	case <-ended:
	}
	_ = srv.Close() // whoever asks is cut off: nobody waits for figures
	<-ended
}
