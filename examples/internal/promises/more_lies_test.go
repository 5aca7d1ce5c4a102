package promises

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// moreLies are for promises that can be broken, or kept from sight, in more than one way. What they do not name is held.
var moreLies = map[string]struct {
	tell      func(l *liar, r *http.Request) (*http.Response, error)
	broken    []string
	unsettled []string
}{
	"a resume that puts the session to sleep": {
		tell:   resumed(func(body object) { body["status"], body["runtimeAvailable"] = "paused", false }),
		broken: []string{"resume-repeats"},
	},
	"a resume that takes the label away": {
		tell:   resumed(func(body object) { delete(body, "label") }),
		broken: []string{"resume-repeats"},
	},
	"a resume that takes the metadata away": {
		tell:   resumed(func(body object) { delete(body, "metadata") }),
		broken: []string{"resume-repeats"},
	},
	"a resume that ends the session": {
		tell:   resumed(func(body object) { body["historyOnly"] = true }),
		broken: []string{"resume-repeats"},
	},
	"a session that is gone after a resume": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			l.note(is(r, "POST", "/resume"), "resumes")
			if is(r, "GET", "/*") && l.times("resumes") == 1 && l.times("archives") == 0 {
				return l.says(r, 404, `{"code":"CODER_SESSION_NOT_FOUND","message":"Unknown session"}`)
			}
			return l.honest.RoundTrip(r)
		},
		broken: []string{"resume-repeats"},
	},
	"a history that begins anew before its first event, which is not event 1": {
		tell: from1001(func(l *liar, r *http.Request, before int) (*http.Response, error) {
			return l.with(r, func(q url.Values) {
				if q.Set("beforeId", strconv.Itoa(max(before, 1))); before == 1 {
					q.Del("beforeId")
				}
			})
		}),
		broken: []string{"history-end"},
	},
	"a history that does not begin with event 1": {
		tell: from1001(func(l *liar, r *http.Request, before int) (*http.Response, error) {
			return l.with(r, func(q url.Values) { q.Set("beforeId", strconv.Itoa(max(before, 1))) })
		}),
	},
	"a history that is longer than anybody reads": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if before := r.URL.Query().Get("beforeId"); is(r, "GET", "/events/history") && has(r, "limit", "100") && before != "" {
				n, err := strconv.Atoi(before)
				if err != nil {
					return nil, err
				}
				return l.changed(r, func(body object) { body["events"] = []any{object{"id": n - 1, "event": "tool_call"}} })
			}
			return l.honest.RoundTrip(r)
		},
		unsettled: []string{"history-end"},
	},
	"an environment that is not shown": {
		tell:      reading(func(body object) { delete(body, "env") }),
		unsettled: []string{"update-fixed"},
	},
	"an environment whose values are not shown": {
		tell:      reading(func(body object) { body["env"] = object{"CODER_GO_PROMISE": "***"} }),
		unsettled: []string{"update-fixed"},
	},
	"an environment that is not shown, and that no update may name": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "PATCH", "/*") && l.nth("patches") > 2 {
				return l.says(r, 400, refused)
			}
			return reading(func(body object) { delete(body, "env") })(l, r)
		},
	},
	"metadata that are not shown": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") && l.times("updates") > 1 && l.times("archives") == 0 {
				return l.changed(r, func(body object) { delete(body, "metadata") })
			}
			return l.honest.RoundTrip(r)
		},
		unsettled: []string{"update-fixed"},
	},
	"metadata that an update changes, in an environment that is not shown": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") && l.times("updates") > 2 && l.times("archives") == 0 {
				return l.changed(r, func(body object) { body["metadata"].(object)["fixed"] = "no"; delete(body, "env") })
			}
			return reading(func(body object) { delete(body, "env") })(l, r)
		},
		broken: []string{"update-fixed"},
	},
	"lists without a total": {
		tell:      listing(func(body object) { delete(body, "total") }),
		unsettled: []string{"sessions-total"},
	},
	"lists whose total is nought": {
		tell:      listing(func(body object) { body["total"] = 0 }),
		unsettled: []string{"sessions-total"},
	},
	"lists whose total is what came so far": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "s") {
				offset, _ := strconv.Atoi(r.URL.Query().Get("offset"))
				return l.changed(r, func(body object) { body["total"] = offset + len(sessionsOf(body)) })
			}
			return l.honest.RoundTrip(r)
		},
		broken: []string{"sessions-total"},
	},
	"a replay without its beginning": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/replay") && !missing(r) {
				return l.changed(r, func(body object) { body["entries"] = body["entries"].([]any)[1:] })
			}
			return l.honest.RoundTrip(r)
		},
		broken: []string{"replay-order"},
	},
	"a stream that tells something else after the update": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			return meanwhile(coder.EventToolCall, "event: broadcast\n", "session_label_updated")(l, r)
		},
		broken: []string{"stream-tells"}, unsettled: []string{"history-follows"},
	},
	"an update that makes no event, while something else happens": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events/history") {
				return l.changed(r, func(body object) {
					keep(body, "events", func(e object) bool { return e["event"] != "session_label_updated" })
				})
			}
			return meanwhile(coder.EventToolCall, "event: broadcast\n", "session_label_updated")(l, r)
		},
		unsettled: []string{"stream-tells", "history-follows"},
	},
	"an update that makes no event, while somebody joins of whom the stream tells nothing": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events/history") {
				return l.changed(r, func(body object) {
					keep(body, "events", func(e object) bool { return e["event"] != "session_label_updated" })
				})
			}
			return meanwhile(coder.EventSessionJoin, "event: broadcast\n", "")(l, r)
		},
		unsettled: []string{"stream-tells", "history-follows"},
	},
	"a replay without times": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/replay") && !missing(r) {
				return l.changed(r, func(body object) { each(body, "entries", func(e object) { delete(e, "timestamp") }) })
			}
			return l.honest.RoundTrip(r)
		},
		unsettled: []string{"replay-order"},
	},
	"a history that is gone at the second look": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events/history") && has(r, "limit", "50") {
				return l.changed(r, func(body object) { body["events"] = []any{} })
			}
			return l.honest.RoundTrip(r)
		},
		unsettled: []string{
			"history-limit", "history-newest", "history-before", "history-end", "history-ids", "history-times", "history-prompts",
			"history-stops", "replay-order", "replay-stable", "replay-answers",
		},
	},
	"an update that fails once": {
		tell: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "PATCH", "/*") && l.nth("patches") == 1 {
				return l.says(r, 400, refused)
			}
			return l.honest.RoundTrip(r)
		},
		unsettled: []string{"stream-tells", "history-follows"},
	},
}

// resumed changes what is read of a session once it was resumed.
func resumed(change func(object)) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		l.note(is(r, "POST", "/resume"), "resumes")
		if is(r, "GET", "/*") && l.times("resumes") == 1 && l.times("archives") == 0 {
			return l.changed(r, change)
		}
		return l.honest.RoundTrip(r)
	}
}

func reading(change func(object)) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "/*") && !missing(r) {
			return l.changed(r, func(body object) {
				if _, ok := body["sessionId"]; ok { // it was found
					change(body)
				}
			})
		}
		return l.honest.RoundTrip(r)
	}
}

func listing(change func(object)) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		if is(r, "GET", "s") {
			return l.changed(r, change)
		}
		return l.honest.RoundTrip(r)
	}
}

// from1001 makes the ids of all histories begin with 1001. What is before an event, a page says.
func from1001(page func(l *liar, r *http.Request, before int) (*http.Response, error)) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		if !is(r, "GET", "/events/history") {
			return l.honest.RoundTrip(r)
		}
		shifted := &liar{hub: l.hub, honest: l.honest}
		if text := r.URL.Query().Get("beforeId"); text != "" {
			before, err := strconv.Atoi(text)
			if err != nil {
				return nil, err
			}
			shifted.honest = roundTrip(func(r *http.Request) (*http.Response, error) { return page(l, r, before-1000) })
		}
		return shifted.changed(r, func(body object) {
			if body["events"] != nil {
				each(body, "events", func(e object) { e["id"] = e["id"].(float64) + 1000 })
			}
		})
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// meanwhile lets something happen with the first update, and keeps blocks of streams that have two texts from who follows.
func meanwhile(event coder.EventName, kind, about string) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		switch {
		case is(r, "PATCH", "/*") && l.times("updates") == 0:
			answer, err := l.honest.RoundTrip(r)
			l.hub.Session(strings.Split(r.URL.Path, "/")[4]).Emit(codertest.Event{Event: event})
			return answer, err
		case is(r, "GET", "/events") && !missing(r):
			return l.blocks(r, func(block string) string {
				if strings.Contains(block, kind) && strings.Contains(block, about) {
					return ""
				}
				return block
			})
		}
		return l.honest.RoundTrip(r)
	}
}

// TestWhatIsNotSeenIsNotHeld tells these lies.
func TestWhatIsNotSeenIsNotHeld(t *testing.T) {
	for name, lie := range moreLies {
		t.Run(name, func(t *testing.T) {
			examined(t, func(hub *codertest.Hub, honest http.RoundTripper) http.RoundTripper {
				return &liar{hub: hub, honest: honest, lie: lie.tell, seen: make(map[string]int)}
			}, func(t *testing.T, _ *codertest.Hub, report *Report) {
				assert.ElementsMatch(t, lie.broken, names(statuses(report, Broken)), "%v", statuses(report, Broken))
				assert.ElementsMatch(t, lie.unsettled, names(statuses(report, Unsettled)), "%v", statuses(report, Unsettled))
				assert.Empty(t, report.Left)
			})
		})
	}
}

func names(found map[string]string) []string {
	all := []string{}
	for name := range found {
		all = append(all, name)
	}
	return all
}

// TestOneSessionShowsNoLimit: a list with one session says nothing about what a limit of 1 does.
func TestOneSessionShowsNoLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, hub *codertest.Hub, client *coder.Client, wire *Wire) {
		hub.AddSession(codertest.Session{Task: "An older session"})
		report := Check(t.Context(), client, Options{Wire: wire})
		assert.Contains(t, statuses(report, Unsettled), "sessions-limit")
	})
}

// TestWhatIsInterruptedIsNotBroken: what did not come because nobody waited for it is no verdict on the Hub.
func TestWhatIsInterruptedIsNotBroken(t *testing.T) {
	var cancel context.CancelFunc
	for name, lie := range map[string]func(l *liar, r *http.Request) (*http.Response, error){
		"stream-begins": func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events") && !missing(r) {
				return l.blocks(r, func(block string) string {
					if strings.Contains(block, "event: hydration") {
						cancel()
						return ""
					}
					return block
				})
			}
			return l.honest.RoundTrip(r)
		},
		"socket-hydrated": func(l *liar, r *http.Request) (*http.Response, error) {
			if r.URL.Path == "/api/ws" && !missing(r) {
				return l.frames(r, func(text string) (string, bool) {
					if strings.Contains(text, `"type":"session_hydration"`) {
						cancel()
						return "", false
					}
					return text, true
				})
			}
			return l.honest.RoundTrip(r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, hub *codertest.Hub, _ *coder.Client, _ *Wire) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				cancel = stop
				hub.AddSession(codertest.Session{Task: "An older session"})
				transport := &liar{hub: hub, honest: hub.HTTPClient().Transport, lie: lie, seen: make(map[string]int)}
				client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: transport}))
				assert.NoError(t, err)
				report := Check(ctx, client, Options{Write: true})
				assert.Error(t, ctx.Err())
				assert.Empty(t, statuses(report, Broken))
				assert.Contains(t, statuses(report, Unsettled), name)
				assert.Empty(t, report.Left)
			})
		})
	}
}
