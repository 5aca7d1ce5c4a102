package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// Ways to break the truth on purpose, to see that it is seen.
const (
	breakDuplicate = "duplicate" // creates are done twice
	breakForget    = "forget"    // creates are answered and not done
	breakLose      = "lose"      // events are left out
	breakSilent    = "silent"    // and from some moment on all of them
	breakWrong     = "wrong"     // sessions are answered with the label of another
	breakMisjudge  = "misjudge"  // sessions that exist are not found
	breakAnswer    = "answer"    // agents answer something else
	breakLate      = "late"      // calls go on when their context has ended
	breakLeak      = "leak"      // streams are left open
	breakImpatient = "impatient" // nothing is tried again
)

var breakages = []string{breakDuplicate, breakForget, breakLose, breakSilent, breakWrong, breakMisjudge, breakAnswer, breakLate, breakLeak, breakImpatient}

// every is how rarely the truth is broken.
const every = 5

// sabotage stands before the Hub and breaks the truth, if it is asked to.
func (s *stage) sabotage(hub http.Handler) http.Handler {
	var requests atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		create := r.Method == http.MethodPost && r.URL.Path == "/api/hub/session"
		get := r.Method == http.MethodGet && sessionPath.MatchString(r.URL.Path)
		breaks := s.config.breaks
		due := (create && (breaks == breakDuplicate || breaks == breakForget) || get && (breaks == breakWrong || breaks == breakMisjudge)) &&
			requests.Add(1)%every == 0
		if !due {
			hub.ServeHTTP(w, r)
			return
		}
		switch breaks {
		case breakDuplicate:
			s.twice(hub, w, r)
		case breakForget:
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"sessionId":"codesess_forgotten%d","status":"creating"}`, requests.Load())
		case breakWrong:
			answer := httptest.NewRecorder()
			hub.ServeHTTP(answer, r)
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			w.WriteHeader(answer.Code)
			_, _ = w.Write(labels.ReplaceAll(answer.Body.Bytes(), []byte(`"label":"that of another"`)))
		case breakMisjudge:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(`{"code":"CODER_SESSION_NOT_FOUND","message":"No such session"}`))
		}
	})
}

var (
	sessionPath = regexp.MustCompile(`^/api/hub/session/[^/]+$`)
	labels      = regexp.MustCompile(`"label":"[^"]*"`)
	tokens      = regexp.MustCompile(`soak-\d+-\d+`)
)

// twice does what a request asks for two times.
func (s *stage) twice(hub http.Handler, w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	for _, answer := range []http.ResponseWriter{httptest.NewRecorder(), w} {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		hub.ServeHTTP(answer, again)
	}
}

// created is told of each session that a client creates.
func (s *stage) created(control *codertest.SessionControl) {
	label := control.Label()
	if token := tokens.FindString(label); token != "" {
		s.book.made(token)
	}
	switch task := control.Task(); {
	case strings.HasPrefix(task, "Report "):
		text := "Report of " + strings.TrimPrefix(task, "Report ")
		if s.config.breaks == breakAnswer {
			text = "Something else"
		}
		control.Answer(codertest.AgentTurn{Text: text})
	case strings.HasPrefix(task, "Fail "):
		control.FailModel(codertest.AgentInvalidRequest)
	}
}

// What there is from the beginning.
const (
	tickers      = 4
	settledItems = 250
	users        = 33
)

// settled is what does not change.
type settled struct {
	session string // with a conversation and a history
	account string
}

func (s *stage) settle() {
	past := codertest.Session{Task: "Settled", Label: "settled"}
	for i := range settledItems {
		past.Entries = append(past.Entries, codertest.ReplayEntry{Type: coder.EntryMessage, Agent: "lead", Content: fmt.Sprintf("entry %d\u2028 \"quoted\"", i)})
		past.Events = append(past.Events, codertest.Event{Event: settledEvent, Payload: map[string]any{"n": i}})
	}
	s.settled.session = s.hub.AddSession(past).ID()
	for range tickers {
		s.ticking = append(s.ticking, s.hub.AddSession(codertest.Session{Task: "Tick", Label: "ticking"}).ID())
	}
	for i := range users {
		s.hub.AddUser(codertest.User{DisplayName: fmt.Sprintf("User %d", i)})
	}
	s.settled.account = s.hub.AddGitHubAccount(codertest.GitHubAccount{AccountName: "northwind", Repositories: []codertest.GitHubRepository{{Name: "one"}, {Name: "two"}}})
}

// ticksEvery is the time between two events of a ticking session.
const ticksEvery = 100 * time.Millisecond

// tick makes numbered events happen.
func (s *stage) tick(ctx context.Context) {
	ticker := time.NewTicker(ticksEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if s.config.breaks == breakLose && n%every == 0 {
			continue
		}
		s.ticked.Store(int64(n))
		if s.config.breaks == breakSilent && n > every {
			continue
		}
		for _, id := range s.ticking {
			s.hub.Session(id).Emit(codertest.Event{Event: tickEvent, Payload: map[string]any{"n": n}})
		}
	}
}

const (
	tickEvent    = "soak_tick"
	settledEvent = "soak_settled"
)

// weather makes the Hub fail. What nobody has met when the next fault is due is taken back: a Hub that is asked little is not
// to fail always.
func (s *stage) weather(ctx context.Context) {
	random := rand.New(rand.NewPCG(s.config.seed, 77)) //nolint:gosec // a plan, no secret
	var (
		last *codertest.Injection
		what string
	)
	for {
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(100+random.IntN(600)) * time.Millisecond):
		}
		if last != nil {
			last.Remove()
			s.book.count(s.book.hubFaults, what, last.Hits())
		}
		if ctx.Err() != nil {
			return
		}
		if what, last = s.fail(random); last == nil {
			s.book.count(s.book.hubFaults, what, 1)
		}
	}
}

// fail does one thing to the Hub, and says what.
func (s *stage) fail(random *rand.Rand) (string, *codertest.Injection) {
	if random.IntN(3) > 0 {
		n := random.IntN(len(faults))
		return faults[n].name, s.hub.Inject(faults[n].fault)
	}
	session := s.hub.Session(s.ticking[random.IntN(len(s.ticking))])
	switch n := random.IntN(12); {
	case n < 6:
		session.CutStreams()
		return "streams cut", nil
	case n < 11:
		session.EndStreams(coder.CloseGoingAway, "")
		return "streams ended", nil
	default:
		outage := codertest.Outage{Kind: codertest.OutageKind(random.IntN(int(codertest.OutageRetryAfter) + 1)), Crash: random.IntN(2) == 0}
		s.hub.Restart(time.Duration(random.IntN(1000))*time.Millisecond, outage)
		return "restart", nil
	}
}

// faults are what requests meet, whichever come next.
var faults = []struct {
	name  string
	fault codertest.Fault
}{
	{"500", codertest.Fault{Status: http.StatusInternalServerError}},
	{"503", codertest.Fault{Status: http.StatusServiceUnavailable, Count: 3}},
	{"429", codertest.Fault{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}},
	{"502 after the effect", codertest.Fault{
		Status: http.StatusBadGateway, Effect: true, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>"), Count: 2,
	}},
	{"cut before the effect", codertest.Fault{Cut: codertest.CutBeforeEffect, Count: 2}},
	{"cut after the effect", codertest.Fault{Cut: codertest.CutAfterEffect, Count: 2}},
	{"cut in the body", codertest.Fault{Cut: codertest.CutMidBody, Count: 2}},
	{"delay", codertest.Fault{Delay: 300 * time.Millisecond, Count: 2}},
}

func stacks() string {
	text := make([]byte, 1<<16)
	return string(text[:runtime.Stack(text, true)])
}

// number is that of a tick.
func number(payload any) int {
	text, _ := json.Marshal(payload)
	var tick struct {
		N int `json:"n"`
	}
	if json.Unmarshal(text, &tick) != nil {
		return -1
	}
	return tick.N
}
