package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentuity/coder-go"
)

// What is late on a live channel.
const (
	lateGreeting = 2 * time.Second // the first bytes after the head of a stream
	lateEvent    = 2 * time.Second // an event after what has caused it
	liveLimit    = 10 * time.Second
)

const (
	unbuffer   = "A gateway holds events back: turn its buffering off for /api/hub/session/*/events (nginx: proxy_buffering off). docs/gateways.md has tested configurations."
	uncompress = "A gateway compresses events, and so holds them back: turn compression off for /api/hub/session/*/events."
	unlimit    = "Something between ends event streams: give it a long read timeout, an hour, for /api/hub/session/*/events."
	letUpgrade = "Something between lets no WebSocket through: it has to pass on Upgrade and Connection for /api/ws. docs/gateways.md has tested configurations."
)

// events opens a stream of events, and measures how it comes.
func (d *doctor) events(parent context.Context) bool {
	switch {
	case !d.live && d.write:
		return true // the promises make a session, and open streams
	case !d.live:
		d.add(Line{Check: "events", Status: Skipped, Seen: "there is no session that is not over", Advice: "Create a session, or allow it with -write."})
		return true
	}
	ctx, cancel := context.WithTimeout(parent, liveLimit)
	defer cancel()
	messages := 0
	var err error
	for _, err = range d.once.StreamEvents(ctx, d.session, &coder.StreamEventsOptions{MaxReconnectAttempts: -1}) {
		if err != nil {
			break
		}
		if messages++; messages == 2 { // snapshot and hydration
			break
		}
	}
	times := d.probe.times()
	line := Line{Check: "events", Status: Wrong}
	switch {
	case parent.Err() != nil:
		return true
	case times.compressed():
		line = times.line()
	case err != nil && times.answered.IsZero() && ctx.Err() != nil:
		line.Seen, line.Advice = fmt.Sprintf("not even the head of the answer came within %v", liveLimit), unbuffer
	case err != nil && times.first.IsZero() && ctx.Err() != nil:
		line.Seen, line.Advice = fmt.Sprintf("the head of the answer came, and nothing behind it within %v", liveLimit), unbuffer
	case err != nil && ctx.Err() != nil:
		line.Seen, line.Advice = fmt.Sprintf("the stream began, and snapshot and hydration were not whole within %v", liveLimit), unbuffer
	case err != nil && isCut(err):
		line.Seen, line.Advice = d.text(err), unlimit
	case err != nil:
		d.fail("events", time.Since(times.asked), err)
		return true
	case messages < 2:
		line.Status, line.Seen = Skipped, "the session has ended meanwhile"
	default:
		line = times.line()
	}
	d.add(line)
	return true
}

// line is what there is to say of a stream that was opened.
func (t *streamTimes) line() Line {
	line := Line{Check: "events", Status: Wrong}
	switch held := t.first.Sub(t.answered); {
	case t.compressed():
		line.Seen, line.Advice = fmt.Sprintf("the stream is compressed: %.20q, although identity was asked for", t.encoding), uncompress
	case t.length > 0:
		line.Seen, line.Advice = "the stream says how long it is: it was collected before it was sent", unbuffer
	case held > lateGreeting:
		line.Seen, line.Advice = fmt.Sprintf("the first bytes were held back for %v", held.Round(time.Millisecond)), unbuffer
	default:
		line.Status, line.Seen = OK, fmt.Sprintf("snapshot and hydration, the first bytes %v after the head", held.Round(100*time.Microsecond))
		line.Took = ms(t.first.Sub(t.asked))
	}
	return line
}

// socket opens a WebSocket: to a session as an observer, or to none, since a refusal by the Hub shows as well what comes
// through.
func (d *doctor) socket(parent context.Context) bool {
	id := d.session
	if !d.live {
		id = "codesess_doctor"
	}
	ctx, cancel := context.WithTimeout(parent, stepLimit)
	defer cancel()
	began := time.Now()
	conn, err := d.once.Connect(ctx, id, &coder.HubConnectOptions{MaxReconnectAttempts: -1, HandshakeTimeout: liveLimit})
	took := time.Since(began)
	var (
		refused *coder.HubConnError
		api     *coder.APIError
		line    = Line{Check: "WebSocket", Status: Wrong, Took: ms(took)}
	)
	if err != nil {
		line.Seen = d.text(err)
	}
	switch {
	case parent.Err() != nil:
		if err == nil {
			conn.Close()
		}
		return true
	case err == nil:
		defer conn.Close()
		line.Status, line.Seen = OK, "open, and the Hub has said init"
		if conn.Init() == nil {
			line.Seen = "open"
		}
	case !errors.As(err, &refused):
		line.Advice = d.advice(err)
	case !d.live && (errors.Is(err, coder.ErrSessionNotFound) || refused.CloseCode == coder.CloseSessionNotFound):
		line.Status, line.Seen = OK, "open; the Hub refuses a session that does not exist, as it should"
	case errors.As(err, &api) && (errors.Is(err, coder.ErrUnauthorized) || errors.Is(err, coder.ErrForbidden)):
		line.Advice = d.advice(err) + " If all routes above work, it is a gateway that refuses: " + letUpgrade
	case errors.As(err, &api):
		line.Advice = letUpgrade
	case refused.CloseCode == coder.CloseAuthRequired || refused.CloseCode == coder.CloseForbidden:
		line.Advice = "The Hub refuses the key here and not above: does something between take away headers or the first message?"
	case refused.CloseCode != 0 || refused.ServerCode != "":
		line.Advice = "The Hub itself refuses the connection: report it with -json."
	case took >= liveLimit:
		line.Seen = fmt.Sprintf("nothing came within %v", took.Round(time.Second))
		line.Advice = letUpgrade
	default:
		line.Advice = letUpgrade + " " + d.advice(err)
	}
	d.add(line)
	return true
}
