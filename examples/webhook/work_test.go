package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestAnswers: what is posted says how it went, and where to look.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		agent func(*codertest.SessionControl)
		opts  []codertest.Option
		want  string // without the marker
	}{
		"well": {
			answering("It is the cache."), nil,
			"Answer to [this comment](https://github.example/acme/shop/issues/7#issuecomment-1), session `codesess_000000000001`.\n\nIt is the cache.\n",
		},
		"without a word": {
			func(s *codertest.SessionControl) { s.Answer(codertest.AgentTurn{}) }, nil,
			"Answer to [this comment](https://github.example/acme/shop/issues/7#issuecomment-1), session `codesess_000000000001`.\n\nThe agent has ended without a word.\n",
		},
		"failed": {
			func(s *codertest.SessionControl) { s.FailModel(codertest.AgentInvalidRequest) }, nil,
			"The agent did not do what [this comment](https://github.example/acme/shop/issues/7#issuecomment-1) asks for: it has failed (`",
		},
		"a question": {
			func(s *codertest.SessionControl) {
				s.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm", Params: map[string]any{"title": "Really?"}}}}})
			}, nil,
			"The agent did not do what [this comment](https://github.example/acme/shop/issues/7#issuecomment-1) asks for: it has a question (`Really?`), session `codesess_000000000001`.\n\n",
		},
		"archived": {
			func(s *codertest.SessionControl) { time.AfterFunc(time.Minute, s.Archive) }, []codertest.Option{codertest.WithAgentPace(time.Hour)},
			"The agent did not do what [this comment](https://github.example/acme/shop/issues/7#issuecomment-1) asks for: its session was archived",
		},
		"stalled": {
			func(s *codertest.SessionControl) { s.SetStatus("active") }, []codertest.Option{codertest.WithAgentPace(1000 * time.Hour)},
			"The agent did not do what [this comment](https://github.example/acme/shop/issues/7#issuecomment-1) asks for: it has stalled (`nothing has changed for 10m0s`), session `codesess_000000000001`.\n\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.hub.OnSession(test.agent)
				s.deliver(delivery(1), sampleComment(1, command))
				j := s.await(1)[0]
				assert.Equal(s, answered, j.state)
				require.Len(s, s.answers(), 1)
				text, found := strings.CutPrefix(s.answers()[0], marker(j.key)+"\n")
				require.True(s, found, s.answers()[0])
				assert.Equal(s, test.want, text[:min(len(text), len(test.want))])
				assert.Equal(s, name == "well" || name == "without a word", j.succeeded)
				assert.Len(s, s.hub.SessionIDs(), 1)
			}, test.opts...)
		})
	}
}

// TestTake_AQuestionOfASessionThatIsOver: that it is over is why nothing came of it, not what its agent has asked before.
func TestTake_AQuestionOfASessionThatIsOver(t *testing.T) {
	var j job
	j.take(&coder.SessionOutcome{
		Kind: coder.OutcomeArchived, Finished: coder.OutcomeNeedsInput, Evidence: []string{"status is archived"},
		Question: &coder.RPCUIRequestMessage{ID: "q1", Method: coder.UIConfirm, Params: []byte(`{"title":"Really?"}`)},
	})
	assert.Equal(t, "status is archived", j.reason)
}

// TestAnswers_Long: a comment has room for so much, and an agent may quote what would hide something.
func TestAnswers_Long(t *testing.T) {
	long := answerTo(&job{key: "webhook-1", succeeded: true, answer: strings.Repeat("é", 100_000)})
	assert.Less(t, len([]rune(long)), 65_536)
	assert.True(t, strings.HasSuffix(long, "é…\n"))
	bad := answerTo(&job{key: "webhook-1", outcome: "failed", reason: "no `code`\n" + strings.Repeat("x", 1000), answer: "<!-- "})
	assert.Equal(t, "<!-- coder: webhook-1 -->\nThe agent did not do what this comment asks for: it has failed (`no 'code' "+strings.Repeat("x", 289)+
		"…`).\n\nIt has said last:\n\n\u200b<!-- \n", bad)
}

// TestQuiet: what an agent says notifies nobody, commands no other program, and hides nothing. What people copy stays as it is.
func TestQuiet(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{ // | stands for the character without width
		"nothing to do":              {"`a < b` and 1 > 0\n\n- [x](https://x.example) & y\n", "`a < b` and 1 > 0\n\n- [x](https://x.example) & y\n"},
		"a person":                   {"@alice: done", "@|alice: done"},
		"a program":                  {"Done.\n@dependabot merge", "Done.\n@|dependabot merge"},
		"many":                       {"(@acme/all) _a_@b @c @@d", "(@|acme/all) _a_@|b @|c @@|d"},
		"an address":                 {"me@shop.example, left-pad@1.3.0, @ 5", "me@shop.example, left-pad@1.3.0, @ 5"},
		"entities":                   {"&#64;alice &#x40;alice &commat;alice @&#97;lice &amp;", "&|#64;alice &|#x40;alice &|commat;alice @&|#97;lice &amp;"},
		"code":                       {"```java\n@Override\n<!--\n```\n@alice", "```java\n@Override\n<!--\n```\n@|alice"},
		"code in tildes":             {"~~~ `\n@Override\n```\n ~~~~ \n@alice", "~~~ `\n@Override\n```\n ~~~~ \n@|alice"},
		"code without an end":        {"````\n@Override\n```\n    ````\n````x\n@Override", "````\n@Override\n```\n    ````\n````x\n@Override"},
		"two blocks":                 {"```\n@a\n```\n@b\n```\n@a\n```", "```\n@a\n```\n@|b\n```\n@a\n```"},
		"HTML hides":                 {"<!-- x\n  <div>\ny", "|<!-- x\n  |<div>\ny"},
		"HTML is no code":            {"<div>\n```\n@alice\n```\n@alice", "|<div>\n```\n@alice\n```\n@|alice"},
		"ends that are none":         {"- ```\n  ```\n@alice\n```\n@alice", "- ```\n  ```\n@|alice\n```\n@|alice"},
		"beginnings that are none":   {"``` a`b\n@alice", "``` a`b\n@|alice"},
		"a quotation":                {"> ```\n@alice\n```\n@alice", "> ```\n@|alice\n```\n@|alice"},
		"other ends of lines":        {"```\r\n@Override\r```\r@alice\r\n", "```\n@Override\n```\n@|alice\n"},
		"a comment that was written": {"<!-- coder: webhook-1 -->\n", "|<!-- coder: webhook-1 -->\n"},
	} {
		assert.Equal(t, test.want, strings.ReplaceAll(quiet(test.text), "\u200b", "|"), name)
	}
	assert.Contains(t, answerTo(&job{succeeded: true, answer: "@alice"}), "@\u200balice")
	assert.Contains(t, answerTo(&job{answer: "@alice"}), "@\u200balice")
	assert.Less(t, len([]rune(answerTo(&job{succeeded: true, answer: strings.Repeat("@a ", 40_000)}))), 65_536)
}

// TestForge_Fails: failures that pass are ridden out, and there is one answer also where one got through that seemed to fail.
func TestForge_Fails(t *testing.T) {
	status := func(code int, header map[string]string) func(*scene, http.ResponseWriter, *http.Request) {
		return func(_ *scene, w http.ResponseWriter, _ *http.Request) {
			for name, value := range header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(code)
		}
	}
	for name, test := range map[string]struct {
		method string // of the requests that fail
		fail   func(*scene, http.ResponseWriter, *http.Request)
		times  int
		least  time.Duration // that it takes
	}{
		"500":         {http.MethodPost, status(500, nil), 3, 3 * time.Minute},
		"502 for GET": {http.MethodGet, status(502, nil), 3, 7 * time.Second},
		"for hours":   {http.MethodPost, status(503, nil), 50, 3 * time.Hour},
		"429":         {http.MethodPost, status(429, map[string]string{"Retry-After": "90"}), 2, 3 * time.Minute},
		"429 without": {http.MethodPost, status(429, nil), 2, 2 * time.Minute},
		"403 that only says so": {http.MethodPost, func(_ *scene, w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, 403, map[string]string{"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."})
		}, 2, 2 * time.Minute},
		"403 and Retry-After": {
			http.MethodPost, status(403, map[string]string{"Retry-After": "3600"}), 1, time.Hour,
		},
		"the limit of an hour": {
			http.MethodPost, func(_ *scene, w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(40*time.Minute).Unix(), 10))
				w.WriteHeader(403)
			}, 1, 39 * time.Minute,
		},
		"no answer": {http.MethodPost, func(_ *scene, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 2, 3 * time.Minute},
		"no answer, and yet written": {http.MethodPost, func(s *scene, w http.ResponseWriter, r *http.Request) {
			s.memory.post(w, r)
			<-r.Context().Done()
		}, 1, 90 * time.Second},
		"no answer, and written much later": {http.MethodPost, func(s *scene, w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			assert.NoError(s, err)
			r.Body = io.NopCloser(bytes.NewReader(body))
			time.AfterFunc(forgeTimeout+50*time.Second, func() { s.memory.post(httptest.NewRecorder(), r) })
			<-r.Context().Done()
		}, 1, 90 * time.Second},
		"500, and yet written": {http.MethodPost, func(s *scene, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			s.memory.post(w, r)
		}, 1, time.Minute},
		"no JSON": {http.MethodGet, status(200, nil), 2, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.hub.OnSession(answering("It is the cache."))
				for k := range 3 { // so that there are pages
					require.NoError(s, newForge("http://forge.example", token, inMemory{s.memory.handler()}).comment(s.Context(), demoRepository, demoNumber, "talk "+strconv.Itoa(k)))
				}
				var failed int
				s.before = func(w http.ResponseWriter, r *http.Request) bool {
					if failed == test.times || r.Method != test.method {
						return false
					}
					failed++
					test.fail(s, w, r)
					return true
				}
				began := time.Now()
				s.deliver(delivery(1), sampleComment(1, command))
				j := s.await(1)[0]
				assert.Equal(s, answered, j.state)
				assert.Equal(s, test.times, failed)
				assert.GreaterOrEqual(s, time.Since(began), test.least)
				assert.Less(s, time.Since(began), 3*test.least)
				assert.Len(s, s.answers(), 3+1)
				assert.Len(s, s.hub.SessionIDs(), 1)
				assert.NotContains(s, s.log.String(), token)
			})
		})
	}
}

// TestForge_Refuses: what will not pass is given up and said, and the answer is kept until somebody has mended it.
func TestForge_Refuses(t *testing.T) {
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		says   string
	}{
		"401": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) }, "WEBHOOK_TOKEN is not valid there"},
		"403": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, "WEBHOOK_TOKEN may not comment there"},
		"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "there is no such issue"},
		"410": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) }, "410 Gone"},
		"a redirect to others": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example/", http.StatusTemporaryRedirect)
		}, "307 Temporary Redirect"},
		"a redirect that loses the comment": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				writeJSON(w, 200, []string{})
				return
			}
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, "302 Found"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.hub.OnSession(answering("It is the cache."))
				s.before = func(w http.ResponseWriter, r *http.Request) bool {
					test.answer(w, r)
					return true
				}
				s.deliver(delivery(1), sampleComment(1, command))
				select { // it is no job that is over
				case j := <-s.finished:
					assert.Equal(s, givenUp, j.state)
					assert.Contains(s, j.reason, test.says)
					assert.Equal(s, "It is the cache.", j.answer)
				case <-time.After(time.Hour):
					require.FailNow(s, "it is not given up", "%s", s.log)
				}
				assert.Contains(s, s.log.String(), test.says)
				assert.Empty(s, s.answers())
				var table text
				jobs, err := s.store.all(s.Context())
				require.NoError(s, err)
				require.NoError(s, printJobs(&table, jobs))
				assert.Contains(s, table.String(), "given up  acme/shop   7")

				s.before = nil
				if name == "401" { // it is delivered again, by hand
					assert.Equal(s, "202 Accepted", s.deliver(delivery(1), sampleComment(1, command)))
				} else { // the next start has -retry
					require.NoError(s, s.store.resume(s.Context(), false))
					n, err := s.store.unfinished(s.Context())
					require.NoError(s, err)
					assert.Zero(s, n, "without -retry it stays given up")
					require.NoError(s, s.store.resume(s.Context(), true))
					s.worker.wake()
				}
				assert.Equal(s, answered, s.await(1)[0].state)
				assert.Len(s, s.answers(), 1)
				assert.Len(s, s.hub.SessionIDs(), 1)
			})
		})
	}
}

// TestForge_Markers: only what begins with the marker of this comment is its answer.
func TestForge_Markers(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		rules := s.rules
		mine := marker(rules.key(1296269, 1))
		forge := newForge("http://forge.example", token, inMemory{s.memory.handler()})
		for _, talk := range []string{"> " + mine, "See " + mine, marker(rules.key(1296269, 2)), strings.Replace(mine, "coder", "Coder", 1)} {
			require.NoError(s, forge.comment(s.Context(), demoRepository, demoNumber, talk))
		}
		s.deliver(delivery(1), sampleComment(1, command))
		s.await(1)
		require.Len(s, s.answers(), 5)
		assert.True(s, strings.HasPrefix(s.answers()[4], mine))

		// Whoever does not know the secret cannot know the marker.
		guess := *rules
		guess.secret = []byte("a guess")
		assert.NotEqual(s, rules.key(1296269, 1), guess.key(1296269, 1))
		// The same number elsewhere is another comment.
		guess = *rules
		guess.forge = "https://another.example"
		assert.NotEqual(s, rules.key(1296269, 1), guess.key(1296269, 1))
		assert.NotEqual(s, rules.key(12, 3), rules.key(1, 23))
	})
}

// TestForge_Pages: a forge that has no pages, and says everything each time, is no reason to go on for ever.
func TestForge_Pages(t *testing.T) {
	asked := 0
	forge := newForge("http://forge.example", token, inMemory{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		assert.Equal(t, "2026-01-02T03:04:05Z", r.FormValue("since"))
		writeJSON(w, 200, []memoryComment{{ID: 1, Body: "a"}, {ID: 2, Body: "b"}})
	})})
	found, err := forge.find(t.Context(), demoRepository, demoNumber, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), marker("c"))
	require.NoError(t, err)
	assert.False(t, found)
	assert.Equal(t, 2, asked)
}

// TestHub_Fails: the Hub may be away while a comment comes, while its agent works, and when the answer is read.
func TestHub_Fails(t *testing.T) {
	for name, test := range map[string]struct {
		after, down time.Duration
		how         codertest.Outage
	}{
		"before":          {0, 10 * time.Minute, codertest.Outage{}},
		"before, for 5 h": {0, 5 * time.Hour, codertest.Outage{Kind: codertest.OutageUnavailable}},
		"while it works":  {5 * time.Second, time.Minute, codertest.Outage{Crash: true}},
		"for 2 h":         {5 * time.Second, 2 * time.Hour, codertest.Outage{Kind: codertest.OutageBadGateway, Crash: true}},
		"and says when":   {5 * time.Second, 3 * time.Hour, codertest.Outage{Kind: codertest.OutageRetryAfter}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.hub.OnSession(answering("It is the cache."))
				if test.after == 0 {
					s.hub.Restart(test.down, test.how)
				} else {
					time.AfterFunc(test.after, func() { s.hub.Restart(test.down, test.how) })
				}
				s.deliver(delivery(1), sampleComment(1, command))
				assert.Equal(s, answered, s.await(1)[0].state)
				assert.Len(s, s.hub.SessionIDs(), 1)
				require.Len(s, s.answers(), 1)
				assert.Contains(s, s.answers()[0], "It is the cache.")
			}, codertest.WithAgentPace(5*time.Second))
		})
	}
}

// TestHub_Refuses: a key that is not valid is no reason to lose what was asked, and a request that is not is one to say so.
func TestHub_Refuses(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		s.hub.SetAPIKey("another")
		s.deliver(delivery(1), sampleComment(1, command))
		time.Sleep(time.Hour)
		jobs, err := s.store.all(s.Context())
		require.NoError(s, err)
		require.Equal(s, received, jobs[0].state)
		assert.Contains(s, s.log.String(), "401")
		s.hub.SetAPIKey("")
		s.await(1)
		require.Len(s, s.answers(), 1)
		assert.Contains(s, s.answers()[0], "It is the cache.")
	})
	bubble(t, func(s *scene) {
		s.hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Status: 400})
		s.deliver(delivery(1), sampleComment(1, command))
		j := s.await(1)[0]
		assert.Equal(s, "error", j.outcome)
		require.Len(s, s.answers(), 1)
		assert.Contains(s, s.answers()[0], "its session could not be run (`the Hub refused it`).")
		assert.Contains(s, s.log.String(), "Injected fault")
	})
	bubble(t, func(s *scene) {
		s.hub.Inject(codertest.Fault{Route: "/hub/sessions", Status: 503, Count: -1})
		s.deliver(delivery(1), sampleComment(1, command))
		j := s.await(1)[0]
		assert.Equal(s, "error", j.outcome)
		assert.Greater(s, j.ended.Sub(j.received), 20*time.Hour)
		assert.Contains(s, s.answers()[0], "not available for a long time")
	})
}

// TestAtOnce: no more sessions than were allowed, and each comment has its turn.
func TestAtOnce(t *testing.T) {
	bubble(t, func(s *scene) {
		var mu sync.Mutex
		atWork, most := 0, 0
		s.hub.OnSession(func(session *codertest.SessionControl) {
			mu.Lock()
			defer mu.Unlock()
			atWork++
			most = max(most, atWork)
		})
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				mu.Lock()
				defer mu.Unlock()
				atWork--
			}
			return false
		}
		for n := range 9 {
			assert.Equal(s, "202 Accepted", s.deliver(delivery(n), sampleComment(int64(n+1), command)))
		}
		s.await(9)
		assert.Equal(s, 2, most)
		assert.Len(s, s.hub.SessionIDs(), 9)
		assert.Len(s, s.answers(), 9)
	}, codertest.WithAgentPace(time.Second))
}

// TestClock: whoever sets the clock, forwards or back, lets nothing wait for much longer.
func TestClock(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		worker := s.other(s.worker.log)
		worker.finished = s.worker.finished
		_, err := s.store.add(s.Context(), s.job())
		require.NoError(s, err)
		jobs, err := s.store.all(s.Context())
		require.NoError(s, err)
		later := func(wait time.Duration) {
			jobs[0].next = time.Now().Add(wait)
			require.NoError(s, s.store.save(s.Context(), jobs[0]))
		}
		var group sync.WaitGroup
		defer group.Wait()
		later(20 * time.Hour)
		assert.Equal(s, longestDelay, worker.begin(s.Context(), &group), "it looks again: an hour may have gone by meanwhile")
		later(2 * time.Minute)
		assert.Equal(s, 2*time.Minute, worker.begin(s.Context(), &group))
		later(longestWait + time.Minute) // nobody has asked for that
		worker.begin(s.Context(), &group)
		s.await(1)
	})
}

// TestStop_Restart: a worker that is stopped at any moment is followed by one that does the rest, and nothing twice.
func TestStop_Restart(t *testing.T) {
	for wait := time.Duration(0); wait < 40*time.Second; wait += 700 * time.Millisecond {
		bubble(t, func(s *scene) {
			s.hub.OnSession(answering("It is the cache."))
			s.before = func(_ http.ResponseWriter, r *http.Request) bool { // a slow forge
				select {
				case <-time.After(5 * time.Second):
				case <-r.Context().Done():
				}
				return false
			}
			first := s.other(s.worker.log)
			_, err := s.store.add(s.Context(), s.job())
			require.NoError(s, err)
			ctx, stop := context.WithTimeout(s.Context(), wait)
			defer stop()
			first.run(ctx)
			s.worker.wake()
			jobs, err := s.store.all(s.Context())
			require.NoError(s, err)
			if jobs[0].state != answered {
				s.await(1)
			}
			assert.Len(s, s.hub.SessionIDs(), 1, "stopped after %v", wait)
			assert.Len(s, s.answers(), 1, "stopped after %v", wait)
		}, codertest.WithAgentPace(time.Second))
	}
}

// TestKilled_Posting: what the program asked for right before it was killed may happen right after it was started again, and it is
// not asked for twice.
func TestKilled_Posting(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		synctest.Wait()
		_, err := s.store.add(s.Context(), s.job())
		require.NoError(s, err)
		jobs, err := s.store.all(s.Context())
		require.NoError(s, err)
		j := jobs[0]
		j.state, j.succeeded, j.answer = ran, true, "It is the cache."
		require.NoError(s, s.worker.lease(s.Context(), j)) // and now it is killed
		time.AfterFunc(settles/2, func() {
			assert.NoError(s, s.worker.forge.comment(s.Context(), demoRepository, demoNumber, answerTo(j)))
		})
		require.NoError(s, s.store.resume(s.Context(), false))
		s.worker.wake()
		s.await(1)
		time.Sleep(settles) // until the late one is there as well
		assert.Len(s, s.answers(), 1)
	})
}

// TestStop_Posting: an answer that is being posted is posted, so that the next start need not guess.
func TestStop_Posting(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		worker := s.other(s.worker.log)
		ctx, stop := context.WithCancel(s.Context())
		defer stop()
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPost {
				stop()
				time.Sleep(10 * time.Second)
			}
			return false
		}
		_, err := s.store.add(s.Context(), s.job())
		require.NoError(s, err)
		worker.run(ctx)
		jobs, err := s.store.all(s.Context())
		require.NoError(s, err)
		assert.Equal(s, answered, jobs[0].state)
		assert.Len(s, s.answers(), 1)
	})
}

// TestStop_WrittenDown: what has happened when it is stopped is written down.
func TestStop_WrittenDown(t *testing.T) {
	for said, want := range map[string]state{"the session has ended": ran, "msg=answered": answered} {
		bubble(t, func(s *scene) {
			ctx, stop := context.WithCancel(s.Context())
			defer stop()
			log := slog.New(slog.NewTextHandler(&interrupting{at: said, press: stop}, nil))
			worker := s.other(log)
			_, err := s.store.add(s.Context(), s.job())
			require.NoError(s, err)
			worker.run(ctx)
			jobs, err := s.store.all(s.Context())
			require.NoError(s, err)
			assert.Equal(s, want, jobs[0].state)
		})
	}
}

// TestStore_Full: a database that cannot be written is said, and looked at again, but not all the time.
func TestStore_Full(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(answering("It is the cache."))
		s.deliver(delivery(1), sampleComment(1, command))
		time.Sleep(time.Second)
		_, err := s.store.db.ExecContext(s.Context(), "PRAGMA query_only = 1")
		require.NoError(s, err)
		time.Sleep(time.Hour)
		assert.Contains(s, s.log.String(), "it could not be written down")
		assert.Less(s, strings.Count(s.log.String(), "it could not be written down"), 100)
		_, err = s.store.db.ExecContext(s.Context(), "PRAGMA query_only = 0")
		require.NoError(s, err)
		assert.Equal(s, answered, s.await(1)[0].state)
		assert.Len(s, s.hub.SessionIDs(), 1)
		assert.Len(s, s.answers(), 1)
	}, codertest.WithAgentPace(time.Second))
}

// TestStore_Full_Fails: a session that has failed, and could be written down nowhere, is no reason for another one each minute.
func TestStore_Full_Fails(t *testing.T) {
	bubble(t, func(s *scene) {
		s.hub.OnSession(func(session *codertest.SessionControl) { session.FailModel(codertest.AgentInvalidRequest) })
		synctest.Wait()
		_, err := s.store.add(s.Context(), s.job())
		require.NoError(s, err)
		_, err = s.store.db.ExecContext(s.Context(), "PRAGMA query_only = 1")
		require.NoError(s, err)
		s.worker.wake()
		time.Sleep(time.Hour)
		_, err = s.store.db.ExecContext(s.Context(), "PRAGMA query_only = 0")
		require.NoError(s, err)
		assert.Equal(s, "failed", s.await(1)[0].outcome)
		assert.Len(s, s.hub.SessionIDs(), 1)
		assert.Len(s, s.answers(), 1)
	}, codertest.WithAgentPace(time.Second))
}

// TestStop_NotNoted: a session that was created right before a kill, and was archived before the next start, is not run anew.
func TestStop_NotNoted(t *testing.T) {
	bubble(t, func(s *scene) {
		synctest.Wait()
		_, err := s.store.add(s.Context(), s.job())
		require.NoError(s, err)
		ensured, err := s.worker.client.EnsureSession(s.Context(), s.job().key, s.job().request, nil)
		require.NoError(s, err)
		s.hub.Session(ensured.SessionID).Archive()
		s.worker.wake()
		s.await(1)
		assert.Len(s, s.hub.SessionIDs(), 1)
		require.Len(s, s.answers(), 1)
		assert.Contains(s, s.answers()[0], "its session was archived")
	}, codertest.WithAgentPace(5*time.Second))
}

// TestStop_Fails: what becomes of a session while nobody looks is told as it is. It is not run anew.
func TestStop_Fails(t *testing.T) {
	for name, test := range map[string]struct {
		becomes func(*codertest.SessionControl)
		says    string
	}{
		"failed":   {func(s *codertest.SessionControl) { s.EndTurn("error", "no more credit") }, "it has failed (`no more credit`)"},
		"archived": {(*codertest.SessionControl).Archive, "its session was archived"},
		"done, and archived": {func(s *codertest.SessionControl) {
			s.EndTurn("stop", "")
			time.Sleep(time.Minute)
			s.Archive()
		}, "It is the cache."},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				s.hub.OnSession(answering(strings.Repeat("It is the cache. ", 1000)))
				first := s.other(s.worker.log)
				_, err := s.store.add(s.Context(), s.job())
				require.NoError(s, err)
				ctx, stop := context.WithTimeout(s.Context(), time.Minute)
				defer stop()
				first.run(ctx)
				test.becomes(s.hub.Session(s.hub.SessionIDs()[0]))
				time.Sleep(time.Minute)
				s.worker.wake()
				s.await(1)
				assert.Len(s, s.hub.SessionIDs(), 1)
				require.Len(s, s.answers(), 1)
				assert.Contains(s, s.answers()[0], test.says)
			}, codertest.WithAgentPace(5*time.Second))
		})
	}
}

// TestStop_Gone: a session that is gone, or was another's all along, is no reason to do nothing.
func TestStop_Gone(t *testing.T) {
	for name, gone := range map[string]func(*scene) (id string){
		"deleted": func(s *scene) string {
			ensured, err := s.worker.client.EnsureSession(s.Context(), s.job().key, s.job().request, nil)
			require.NoError(s, err)
			require.NoError(s, s.worker.client.DeleteSession(s.Context(), ensured.SessionID))
			return ensured.SessionID
		},
		"another's": func(s *scene) string {
			return s.hub.AddSession(codertest.Session{Task: "Other things", Status: "failed", Metadata: map[string]any{"idempotencyKey": "another"}}).ID()
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *scene) {
				id := gone(s)
				s.hub.OnSession(answering("It is the cache."))
				synctest.Wait()
				_, err := s.store.add(s.Context(), s.job())
				require.NoError(s, err)
				jobs, err := s.store.all(s.Context())
				require.NoError(s, err)
				jobs[0].session = id
				require.NoError(s, s.store.save(s.Context(), jobs[0]))
				s.worker.wake()
				j := s.await(1)[0]
				assert.NotEqual(s, id, j.session)
				require.Len(s, s.answers(), 1)
				assert.Contains(s, s.answers()[0], "It is the cache.")
			})
		})
	}
}
