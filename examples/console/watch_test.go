package main

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestWatches_OneConnection shares a connection among all browsers, and closes it some time after the last has left.
func TestWatches_OneConnection(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		assert.Equal(t, 0, session.Streams())
		pages := []*tab{s.opens(session), s.opens(session), s.opens(session)}
		pages[0].waits(time.Second)
		assert.Equal(t, 1, session.Streams())
		for _, p := range pages {
			p.closes()
		}
		time.Sleep(grace / 2)
		assert.Equal(t, 1, session.Streams(), "a browser may only load the page again")
		snapshots := pages[0].sees().snapshots
		pages[0].connects()
		pages[0].waits(2 * grace)
		assert.Equal(t, 1, session.Streams())
		assert.Equal(t, snapshots, pages[0].sees().snapshots, "it goes on where it was")
		pages[0].closes()
		time.Sleep(grace + time.Second)
		assert.Equal(t, 0, session.Streams())
		assert.Empty(t, s.console.watches.all)
		asked := len(s.hub.Requests())
		time.Sleep(time.Hour)
		assert.Len(t, s.hub.Requests(), asked, "nothing is asked for nobody")

		pages[1].connects()
		pages[1].waits(time.Second)
		isWhole(t, pages[1], session, "after a long absence")
		snapshots = pages[1].sees().snapshots
		for range 10 { // one that comes and goes is never without a connection
			pages[1].closes()
			time.Sleep(grace * 2 / 3)
			pages[1].connects()
			pages[1].waits(time.Second)
		}
		assert.Equal(t, snapshots, pages[1].sees().snapshots)
		assert.Equal(t, 1, session.Streams())
		pages[1].closes()
	})
}

// TestWatches_EndOfTheProgram closes everything at once, also with pages that are open.
func TestWatches_EndOfTheProgram(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		p.waits(time.Second)
		t.Cleanup(func() {
			<-p.ended
			assert.Zero(t, session.Streams())
		})
	})
}

func TestWatch_Asleep(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.hub.AddSession(codertest.Session{Task: "Sleep", Status: "paused"})
		p := s.opens(session)
		seen := p.waits(time.Minute)
		assert.Equal(t, linkAsleep, seen.Link.State)
		assert.Equal(t, []string{"user: Sleep"}, seen.texts())
		assert.Equal(t, "paused", session.Status(), "to look at a session does not wake it")
		status, body := s.tries(session, "say", "text", "Hello?", "key", newKey())
		assert.Equal(t, 502, status)
		assert.Contains(t, body, "wake it first")

		events := p.sees().events
		s.does(session, "wake")
		seen = p.waits(time.Minute)
		assert.Equal(t, linkLive, seen.Link.State)
		assert.Greater(t, seen.events, events)
		s.says(session, "prompt", "Say hello")
		p.waits(time.Minute)
		isWhole(t, p, session, "after it was woken")

		session.Pause() // as the Hub does with one that idles
		assert.Equal(t, linkAsleep, p.waits(2*lookEvery).Link.State)
		_, err := s.console.client.ResumeSession(t.Context(), session.ID()) // somebody else
		require.NoError(t, err)
		_, err = s.console.client.GetSession(t.Context(), session.ID())
		require.NoError(t, err)
		_, err = s.console.client.GetSession(t.Context(), session.ID())
		require.NoError(t, err)
		assert.Equal(t, linkLive, p.waits(2*lookEvery).Link.State)
		p.closes()
	})
}

func TestWatch_Over(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		s.says(session, "prompt", "Say hello")
		before := p.waits(time.Minute)
		session.Archive()
		seen := p.waits(time.Minute)
		assert.Equal(t, linkOver, seen.Link.State)
		assert.Equal(t, before.texts(), seen.texts())
		assert.Zero(t, session.Streams())
		status, body := s.tries(session, "say", "text", "Hello?", "key", newKey())
		assert.Equal(t, 502, status)
		assert.Contains(t, body, "The session is over.")
		p.closes()

		failed := s.hub.AddSession(codertest.Session{Task: "Fail", Status: "failed"})
		p = s.opens(failed)
		assert.Equal(t, linkOver, p.waits(time.Minute).Link.State)
		failed.SetStatus("active") // the Hub has found its runtime again
		assert.Equal(t, linkLive, p.waits(2*lookEvery).Link.State)
		p.closes()

		require.NoError(t, s.console.client.DeleteSession(t.Context(), failed.ID()))
		time.Sleep(time.Minute)
		p = s.opens(failed)
		seen = p.waits(time.Minute)
		assert.Equal(t, link{linkAway, "There is no such session; it may have been deleted."}, seen.Link)
		p.closes()
	})
}

// TestWatch_HubAway shows what is known while the Hub does not answer, and more when it does.
func TestWatch_HubAway(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		outage := s.hub.Restart(24*time.Hour, codertest.Outage{})
		p := s.opens(session)
		seen := p.waits(lookTime + time.Second)
		assert.Equal(t, link{linkAway, "The Hub does not answer."}, seen.Link)
		assert.Equal(t, "The Hub does not answer.", p.sees().list.Problem)
		assert.NotNil(t, p.sees().list.Buckets, "the script wants a list, if an empty one")
		outage.End()
		seen = p.waits(2 * time.Minute)
		assert.Equal(t, linkLive, seen.Link.State)
		assert.Empty(t, p.sees().list.Problem)
		isWhole(t, p, session, "when the Hub is back")

		outage = s.hub.Restart(24*time.Hour, codertest.Outage{Crash: true})
		seen = p.waits(time.Hour) // longer than a connection tries again by itself
		assert.NotEqual(t, linkLive, seen.Link.State)
		assert.Equal(t, []string{"user: Be there"}, seen.texts(), "what was said stays")
		outage.End()
		assert.Equal(t, linkLive, p.waits(5*time.Minute).Link.State)
		p.closes()
	})
}

func TestWatch_BadKey(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		s.hub.SetAPIKey("another")
		p := s.opens(session)
		const advice = "The Hub does not accept the API key. Set AGENTUITY_SDK_KEY to a valid one, and start the console again."
		assert.Equal(t, link{linkAway, advice}, p.waits(5*time.Second).Link)
		assert.Equal(t, advice, p.sees().list.Problem)
		p.closes()
	})
}

// TestWatch_BeingCreated waits for a session that is not there yet.
func TestWatch_BeingCreated(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		created, err := s.console.client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Say hello"})
		require.NoError(t, err)
		session := s.hub.Session(created.SessionID)
		p := s.opens(session)
		assert.Equal(t, linkLive, p.waits(time.Minute).Link.State)
		isWhole(t, p, session, "when it is there")
		p.closes()
	})
}

func TestBoard(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		s.hub.AddSession(codertest.Session{Task: "a", Label: "Old", Status: "archived", Created: time.Now().Add(-time.Hour)})
		s.hub.AddSession(codertest.Session{Task: "b", Label: "Sleeps", Status: "paused"})
		session := s.begins()
		p := s.opens(session)
		p.waits(2 * lookEvery) // to attach is an activity
		shows := func() (all []string) {
			for _, b := range p.sees().list.Buckets {
				all = append(all, b.Title)
				for _, one := range b.Sessions {
					all = append(all, one.Label+" "+one.Status)
				}
			}
			return all
		}
		assert.Equal(t, []string{"Running", "Test active", "Asleep", "Sleeps paused", "Over", "Old archived"}, shows())
		events := p.sees().events
		p.waits(10 * lookEvery)
		assert.Equal(t, events, p.sees().events, "what is the same is not sent again")
		session.Archive()
		p.waits(2 * lookEvery)
		assert.Equal(t, []string{"Asleep", "Sleeps paused", "Over", "Test archived", "Old archived"}, shows())
		p.closes()
	})
	unknown := sorted([]coder.SessionListItem{{SessionID: "1", Bucket: "elsewhere"}, {SessionID: "2", Bucket: coder.BucketHistory}})
	require.Len(t, unknown, 2)
	assert.Equal(t, "elsewhere", unknown[1].Title)
	assert.Equal(t, "1", unknown[1].Sessions[0].Label, "one without a label is called by its id")
}

// TestBoard_Many shows what is at work, however many sessions were started since.
func TestBoard_Many(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		add := func(label, status string, age time.Duration) {
			s.hub.AddSession(codertest.Session{Task: "x", Label: label, Status: status, Created: time.Now().Add(-age)})
		}
		add("At work", "active", 1001*time.Hour)
		for i := range 1000 {
			add("Old", "archived", time.Duration(i+1)*time.Hour)
		}
		found := s.console.board.recent(t.Context())
		require.Len(t, found.Buckets, 2)
		assert.Equal(t, "Running", found.Buckets[0].Title)
		assert.Equal(t, "At work", found.Buckets[0].Sessions[0].Label)
		assert.Len(t, found.Buckets[1].Sessions, listed-1)
		assert.Equal(t, 1001-listed, found.More)
	})
}

// TestBoard_SlowHub shows a list that takes longer than a page waits.
func TestBoard_SlowHub(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		s.hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/sessions", Delay: 2 * pageTime, Count: -1})
		began := time.Now()
		status, _, _ := s.ask("GET", "/", nil)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, pageTime, time.Since(began), "a page does not wait longer")
		p := s.opens(session)
		seen := p.waits(3 * pageTime)
		assert.Empty(t, seen.list.Problem)
		assert.NotEmpty(t, seen.list.Buckets)
		p.closes()
	})
}

// TestLabelOf makes a name of whatever somebody has called a session.
func TestLabelOf(t *testing.T) {
	for label, want := range map[string]string{
		"":                             "codesess_1",
		" \t\n":                        "codesess_1",
		"\u200e\u202e":                 "codesess_1",
		"\u200b":                       "codesess_1",
		"a\x00b\x1b[31m\nc":            "a b [31m c",
		"\u202egnp.exe":                "gnp.exe",
		"\u2066a\u2069 \u200fb":        "a b",
		"שלום":                         "שלום",
		"\U0001F468\u200d\U0001F4BB x": "\U0001F468\u200d\U0001F4BB x",
		"می\u200cخواهم":                "می\u200cخواهم",
	} {
		assert.Equal(t, want, labelOf(coder.SessionListItem{SessionID: "codesess_1", Label: label}), "%q", label)
	}
}

// TestWatch_ConnectedAtLast tells who waits for the connection, also if nothing else has changed.
func TestWatch_ConnectedAtLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, want := newWatch(nil, "codesess_1"), new(coder.HubConn)
		w.set(link{State: linkLive})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		got := make(chan *coder.HubConn, 1)
		go func() {
			conn, err := w.connected(ctx)
			assert.NoError(t, err)
			got <- conn
		}()
		synctest.Wait()
		w.attached(want, link{State: linkLive})
		assert.Same(t, want, <-got)
	})
}
