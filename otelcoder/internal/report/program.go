package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/otelcoder"
)

// program is a backend service for some time.
type program struct {
	seed     uint64
	rate     float64
	sessions int

	hub    *codertest.Hub
	client *coder.Client
	cuts   sync.WaitGroup // of live connections
}

// atOnce is how many sessions are run at a time.
const atOnce = 8

func (p *program) run(ctx context.Context, out io.Writer) error {
	p.hub = codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(50*time.Millisecond))
	defer p.hub.Close()
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	observer := otelcoder.Observer(
		otelcoder.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))),
		otelcoder.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))),
	)
	weather := &weather{hub: p.hub, base: p.hub.HTTPClient().Transport, seed: p.seed, rate: p.rate}
	var err error
	p.client, err = p.hub.NewClient(coder.WithObserver(observer), coder.WithHTTPClient(&http.Client{Transport: weather}))
	if err != nil {
		return err
	}
	defer p.client.CloseIdleConnections()
	p.hub.OnSession(p.prepare)

	var work sync.WaitGroup
	free := make(chan struct{}, atOnce)
	failures := make(chan error, p.sessions)
	for n := range p.sessions {
		free <- struct{}{}
		work.Go(func() {
			defer func() { <-free }()
			failures <- p.job(ctx, n)
		})
	}
	work.Wait()
	p.cuts.Wait()
	close(failures)
	failed := 0
	for err := range failures {
		if err != nil {
			failed++
		}
	}
	var metrics metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &metrics); err != nil {
		return err
	}
	requests, faults := weather.counts()
	fmt.Fprintf(out, "%d jobs, of which %d failed; %d requests, of which %d were made to fail; seed %d.\n\n",
		p.sessions, failed, requests, faults, p.seed)
	writeMetrics(out, &metrics)
	writeTrace(out, spans.GetSpans())
	return nil
}

// random is the chance of one thing, the same for the same seed.
func (p *program) random(of string) *rand.Rand { return rand.New(rand.NewPCG(p.seed, hash(of))) }

// prepare says what the agent of a session does: it calls three tools, which fail at the rate of the requests, and its live
// connections are cut at that rate, each quarter of a second.
func (p *program) prepare(session *codertest.SessionControl) {
	for _, prompt := range []string{"task", "question"} {
		r := p.random(session.ID() + prompt)
		turn := codertest.AgentTurn{Text: "I will look."}
		for _, name := range []string{"read", "grep", "bash"} {
			turn.Tools = append(turn.Tools, codertest.AgentTool{Name: name, Result: "ok", IsError: r.Float64() < p.rate})
		}
		session.Answer(turn, codertest.AgentTurn{Text: "It is done."})
	}
	r := p.random(session.ID() + "cuts")
	p.cuts.Go(func() {
		for range 60 {
			time.Sleep(250 * time.Millisecond)
			if r.Float64() < p.rate {
				session.CutStreams()
			}
		}
	})
}

// job runs a session, asks its agent something, looks at it, and archives it.
func (p *program) job(ctx context.Context, n int) error {
	key := fmt.Sprintf("job-%d", n)
	result, err := p.client.RunSession(ctx, key, coder.CreateSessionRequest{Task: "Fix the build"}, nil)
	if err != nil {
		return err
	}
	if err := p.ask(ctx, result.SessionID); err != nil {
		return err
	}
	for range 5 {
		if _, err := p.client.GetSession(ctx, result.SessionID); err != nil {
			return err
		}
		if _, err := p.client.ListSessions(ctx, nil); err != nil {
			return err
		}
	}
	_, err = p.client.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{Name: key})
	_, archived := p.client.ArchiveSession(ctx, result.SessionID)
	return errors.Join(err, archived)
}

func (p *program) ask(ctx context.Context, id string) error {
	conn, err := p.client.Attach(ctx, id, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Ask(ctx, "Now add a test", nil)
	return err
}
