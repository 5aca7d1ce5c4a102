package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/transport"
)

// What the retry layer costs is seen against the same exchange without it: the same transport, the
// same headers, the body into a pooled buffer. The library bounds the silence of a body too, which
// is no part of repeating: "plain" does that as well, "bare" does not.
var (
	layer = map[string]prepare{
		"exchange-get":    func(o order) (task, func(), error) { return exchange(o, http.MethodGet, withLayer) },
		"exchange-create": func(o order) (task, func(), error) { return exchange(o, http.MethodPost, withLayer) },
	}
	plain = map[string]prepare{
		"exchange-get":    func(o order) (task, func(), error) { return exchange(o, http.MethodGet, withoutLayer(silence)) },
		"exchange-create": func(o order) (task, func(), error) { return exchange(o, http.MethodPost, withoutLayer(silence)) },
	}
	bare = map[string]prepare{
		"exchange-get":    func(o order) (task, func(), error) { return exchange(o, http.MethodGet, withoutLayer(0)) },
		"exchange-create": func(o order) (task, func(), error) { return exchange(o, http.MethodPost, withoutLayer(0)) },
	}
)

const silence = time.Minute

// sender sends a request and shows the body of the answer.
type sender func(ctx context.Context, method, url string, header http.Header, body []byte) (seen, error)

func exchange(o order, method string, with func(*http.Transport) sender) (task, func(), error) {
	base := transport.NewHTTPTransport()
	send := with(base)
	url, body := o.URL+"/api/hub/session/"+sessionID, []byte(nil)
	if method == http.MethodPost {
		url, body = o.URL+"/api/hub/session", []byte(`{"task":"Sort the list","tags":["a","b"]}`)
	}
	accept, agent, authorization := []string{"application/json"}, []string{"bench"}, []string{"Bearer key"}
	return calls(o.Parallel, func(ctx context.Context) (seen, error) {
		header := make(http.Header, 4)
		header["Accept"], header["User-Agent"], header["Authorization"] = accept, agent, authorization
		if body != nil {
			header["Content-Type"] = accept
		}
		return send(ctx, method, url, header, body)
	}), base.CloseIdleConnections, nil
}

func checkBody(text []byte) (seen, error) {
	return right(bytes.Contains(text, []byte(`"sessionId":"codesess_`)) && text[len(text)-1] == '}', len(text))
}

func withLayer(base *http.Transport) sender {
	t := transport.New(transport.Config{
		HTTPClient: http.Client{Transport: base},
		Logger:     slog.New(slog.DiscardHandler),
		MaxBody:    256 << 20,
		Silence:    silence,
	})
	return func(ctx context.Context, method, url string, header http.Header, body []byte) (seen, error) {
		outcome := t.Do(ctx, &transport.Request{
			Method: method, URL: url, Path: "/hub/session", Header: header, Body: body, Idempotent: method == http.MethodGet,
		})
		if outcome.Err != nil {
			return seen{}, outcome.Err
		}
		defer outcome.Body.Release()
		text, _ := outcome.Body.Bytes()
		return checkBody(text)
	}
}

func withoutLayer(silence time.Duration) func(*http.Transport) sender {
	return func(base *http.Transport) sender {
		client := &http.Client{Transport: base}
		buffers := sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}
		return func(ctx context.Context, method, url string, header http.Header, body []byte) (seen, error) {
			var cancel context.CancelFunc
			if silence > 0 {
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
			}
			var from io.Reader
			if body != nil {
				from = bytes.NewReader(body)
			}
			req, err := http.NewRequestWithContext(ctx, method, url, from)
			if err != nil {
				return seen{}, err
			}
			req.Header = header
			resp, err := client.Do(req)
			if err != nil {
				return seen{}, err
			}
			defer resp.Body.Close()
			if resp.StatusCode/100 != 2 {
				return seen{}, errors.New(resp.Status)
			}
			var source io.Reader = resp.Body
			if silence > 0 {
				source = &watched{source, cancel, silence, nil}
			}
			buffer := buffers.Get().(*bytes.Buffer)
			defer buffers.Put(buffer)
			buffer.Reset()
			if _, err := buffer.ReadFrom(source); err != nil {
				return seen{}, err
			}
			return checkBody(buffer.Bytes())
		}
	}
}

// watched cancels the request when a Read takes too long.
type watched struct {
	source  io.Reader
	cancel  context.CancelFunc
	silence time.Duration
	timer   *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.silence, w.cancel)
	} else {
		w.timer.Reset(w.silence)
	}
	defer w.timer.Stop()
	return w.source.Read(p)
}
