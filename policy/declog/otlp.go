package declog

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	otellog "go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
)

// otlpEvent names our log records to a collector.
const otlpEvent = "gatehouse.decision"

// otlpSink sends log records to an OpenTelemetry collector by OTLP over HTTP.
// The library's processors and retries are not used: what waits is in our queue.
// Nothing of it is registered with the process, and all its options are given,
// so that OTEL_ variables of the environment change nothing but the resource.
type otlpSink struct {
	exporter  *otlploghttp.Exporter
	provider  *sdklog.LoggerProvider
	logger    otellog.Logger
	records   *records
	answers   *answers
	transport *http.Transport
}

// newOTLPSink makes the sink; it connects to nothing yet.
func newOTLPSink(u *url.URL, labels map[string]string) (*otlpSink, error) {
	s := &otlpSink{records: &records{}}
	client, transport := newClient()
	s.transport = transport
	s.answers = &answers{next: client.Transport}
	client.Transport = s.answers
	options := []otlploghttp.Option{
		otlploghttp.WithEndpointURL(u.String()), otlploghttp.WithHTTPClient(client), otlploghttp.WithTLSClientConfig(nil),
		otlploghttp.WithCompression(otlploghttp.GzipCompression), otlploghttp.WithHeaders(map[string]string{}),
		otlploghttp.WithMaxResponseSize(64 << 10), otlploghttp.WithRetry(otlploghttp.RetryConfig{}),
	}
	if u.Scheme == "http" {
		options = append(options, otlploghttp.WithInsecure())
	}
	if u.Path == "" {
		options = append(options, otlploghttp.WithURLPath("/v1/logs"))
	}
	var err error
	if s.exporter, err = otlploghttp.New(context.Background(), options...); err != nil {
		return nil, fmt.Errorf("open OTLP exporter: %w", err)
	}
	s.provider = sdklog.NewLoggerProvider(
		sdklog.WithProcessor(s.records), sdklog.WithAttributeCountLimit(-1), sdklog.WithAttributeValueLengthLimit(-1),
		sdklog.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "gatehouse"),
			attribute.String("service.version", labels["version"]), attribute.String("service.instance.id", labels["id"]),
		)),
	)
	s.logger = s.provider.Logger("gatehouse/policy/declog")
	return s, nil
}

func (s *otlpSink) batch() batch { return collectorBatch }

func (s *otlpSink) close() {
	// Neither holds anything that could be lost, nor fails.
	_ = s.provider.Shutdown(context.Background())
	_ = s.exporter.Shutdown(context.Background())
	s.transport.CloseIdleConnections()
}

// write implements sink.
func (s *otlpSink) write(ctx context.Context, batch []*item) (int, error) {
	s.records.list = s.records.list[:0]
	for _, it := range batch {
		s.logger.Emit(ctx, record(it.encoded()))
	}
	s.answers.status = 0
	err := s.exporter.Export(ctx, s.records.list)
	clear(s.records.list)
	if err == nil {
		return len(batch), nil
	}
	switch status := s.answers.status; {
	case status == 0:
		return 0, err // nobody answered
	case status >= 200 && status <= 299:
		// Some were taken and some were not; who takes them twice has them twice.
		return 0, fmt.Errorf("%w: the collector took a part only", errRefused)
	default:
		// What it said stays out of our log.
		return 0, judgeStatus(status)
	}
}

// record is one event as a log record: the event's JSON is its body, and what
// the access log says of a request its attributes.
func record(ev *Event, line []byte) otellog.Record {
	var r otellog.Record
	r.SetEventName(otlpEvent)
	r.SetTimestamp(ev.Timestamp)
	r.SetObservedTimestamp(time.Now())
	r.SetSeverity(otellog.SeverityInfo)
	r.SetBody(attribute.StringValue(string(line)))
	for key, value := range map[string]string{
		"request_id": ev.Custom.RequestID, "gatehouse.decision_id": ev.DecisionID,
		"gatehouse.outcome": ev.Result.Outcome, "gatehouse.reason": ev.Result.Reason,
		"gatehouse.rule": ev.Result.Rule, "http.route": ev.Result.Route,
		"http.request.method": text(ev.Input, "request", "method"), "server.address": text(ev.Input, "request", "host"),
		"url.path": text(ev.Input, "request", "path"), "client.address": ev.RequestedBy,
		"user.id": text(ev.Input, "credential", "subject"), "gatehouse.credential": text(ev.Input, "credential", "kind"),
	} {
		if value != "" {
			r.AddAttributes(attribute.String(key, value))
		}
	}
	return r
}

// records is the processor that turns what the logger emits into what the
// exporter takes, and keeps it for the next call.
type records struct{ list []sdklog.Record }

// Enabled implements sdklog.Processor.
func (*records) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit implements sdklog.Processor.
func (p *records) OnEmit(_ context.Context, r *sdklog.Record) error {
	p.list = append(p.list, r.Clone())
	return nil
}

// Shutdown implements sdklog.Processor.
func (*records) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdklog.Processor.
func (*records) ForceFlush(context.Context) error { return nil }

// answers remembers the status of the last answer, which the exporter's errors
// do not tell.
type answers struct {
	next   http.RoundTripper
	status int
}

// RoundTrip implements http.RoundTripper.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := a.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	a.status = res.StatusCode
	return res, nil
}
