package coder_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// longID is a number that no float64 is.
const longID = json.Number("9007199254740993")

// free is free JSON as a Hub sends it, freely is what it becomes.
const free = `{"id":9007199254740993,"list":[1,{"big":12345678901234567890123}],"n":7}`

var freely = map[string]any{
	"id": longID, "list": []any{1.0, map[string]any{"big": json.Number("12345678901234567890123")}}, "n": 7.0,
}

// TestNumbers_OfTheHub: whole numbers in free JSON have all their digits, whether the answer is as it should be or
// has a member of the wrong kind, and whether it is kept in one piece or in several.
func TestNumbers_OfTheHub(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		body   string
		get    func(ctx context.Context, c *coder.Client) (any, error)
	}{
		"Session.Metadata": {200, `{"sessionId":"x","metadata":FREE,"taskCount":MAYBE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			s, err := c.GetSession(ctx, "x")
			if err != nil {
				return nil, err
			}
			return s.Metadata, nil
		}},
		"SandboxSessionListItem.Metadata": {200, `{"sessions":{"websocket":[],"sandbox":[{"sessionId":"x","metadata":FREE}]},"total":MAYBE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			l, err := c.ListSessions(ctx, nil)
			if err != nil {
				return nil, err
			}
			return l.SandboxSessions[0].Metadata, nil
		}},
		"UpdateSessionResponse.Metadata": {200, `{"sessionId":"x","label":MAYBE,"metadata":FREE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			s, err := c.UpdateSession(ctx, "x", coder.UpdateSessionRequest{Label: new("l")})
			if err != nil {
				return nil, err
			}
			return s.Metadata, nil
		}},
		"Participant.Metadata": {200, `{"sessionId":"x","participants":[{"id":"p","role":MAYBE,"metadata":FREE}]}`, func(ctx context.Context, c *coder.Client) (any, error) {
			p, err := c.ListParticipants(ctx, "x", nil)
			if err != nil {
				return nil, err
			}
			return p.Participants[0].Metadata, nil
		}},
		"ConversationEntry.ToolArgs of a replay": {200, `{"sessionId":"x","entries":[{"type":MAYBE,"toolArgs":FREE}]}`, func(ctx context.Context, c *coder.Client) (any, error) {
			r, err := c.GetReplay(ctx, "x", nil)
			if err != nil {
				return nil, err
			}
			return r.Entries[0].ToolArgs, nil
		}},
		"ConversationEntry.ToolArgs of entries": {200, `{"sessionId":"x","entries":[{"type":MAYBE,"toolArgs":FREE}]}`, func(ctx context.Context, c *coder.Client) (any, error) {
			for e, err := range c.ReplayEntries(ctx, "x", nil) {
				return e.ToolArgs, err
			}
			return nil, nil
		}},
		"Session.Extra": {200, `{"sessionId":"x","more":FREE,"taskCount":MAYBE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			s, err := c.GetSession(ctx, "x")
			if err != nil {
				return nil, err
			}
			assert.Equal(t, free, string(s.Extra["more"]))
			return freely, nil
		}},
		"APIError.Details": {400, `{"code":MAYBE,"details":FREE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			_, err := c.GetSession(ctx, "x")
			var failed *coder.APIError
			require.ErrorAs(t, err, &failed)
			return failed.Details, nil
		}},
		"Issue.Input": {400, `{"error":{"name":"ZodError","issues":[{"code":MAYBE,"path":["a",9007199254740993],"input":FREE}]}}`, func(ctx context.Context, c *coder.Client) (any, error) {
			_, err := c.GetSession(ctx, "x")
			var failed *coder.APIError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, []any{"a", longID}, failed.Issues[0].Path)
			return failed.Issues[0].Input, nil
		}},
		"Do": {200, `{"free":FREE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			var out map[string]any
			err := c.Do(ctx, http.MethodGet, "/hub/x", nil, &out)
			return out["free"], err
		}},
		"Do, with a json.Number": {200, `{"free":FREE}`, func(ctx context.Context, c *coder.Client) (any, error) {
			var out struct {
				Free struct {
					ID, N json.Number
				} `json:"free"`
			}
			err := c.Do(ctx, http.MethodGet, "/hub/x", nil, &out)
			assert.Equal(t, longID, out.Free.ID)
			assert.Equal(t, json.Number("7"), out.Free.N)
			return freely, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, maybe := range []string{`null`, `[7]`} {
				for _, blanks := range []string{"", strings.Repeat(" ", 3<<20)} {
					if blanks != "" && test.status != 200 { // of an error only the beginning is read
						continue
					}
					body := strings.NewReplacer("FREE", free, "MAYBE", maybe).Replace(test.body)
					got, err := test.get(t.Context(), newServer(t, answerJSON(test.status, body+blanks)).client(t))
					require.NoError(t, err, body)
					assert.Equal(t, any(freely), got, body)
				}
			}
		})
	}
}

// TestNumbers_ToTheHub: a json.Number is sent as the number that it is, and what is none is not sent.
func TestNumbers_ToTheHub(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x","status":"creating"}`))
	c := s.client(t)
	calls := map[string]struct {
		op, field string
		call      func(any) error
	}{
		"metadata": {"CreateSession", "metadata.a.0", func(v any) error {
			_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "t", Metadata: map[string]any{"a": []any{v}}})
			return err
		}},
		"a map of Do": {"Do", "a", func(v any) error {
			return c.Do(t.Context(), http.MethodPost, "/hub/x", map[string]any{"a": v}, nil)
		}},
		"a struct of Do": {"Do", "a", func(v any) error {
			number, _ := v.(json.Number)
			return c.Do(t.Context(), http.MethodPost, "/hub/x", struct {
				A json.Number `json:"a"`
			}{number}, nil)
		}},
	}
	for name, test := range calls {
		for _, good := range []json.Number{longID, "1.50", "-0", "1e400", "12345678901234567890123"} {
			before := len(s.seen())
			require.NoError(t, test.call(good), name)
			require.Len(t, s.seen(), before+1)
			assert.Regexp(t, `"a":\[?`+strings.ReplaceAll(string(good), ".", `\.`)+`[\]}]`, string(s.seen()[before].body), name)
		}
		before := len(s.seen())
		for _, bad := range []json.Number{"seven", "1,2", " 1", "01", `"1"`} {
			err := test.call(bad)
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid, "%s: %q", name, bad)
			assert.Equal(t, test.op, invalid.Operation)
			assert.Equal(t, test.field, invalid.Field)
			assert.Contains(t, invalid.Error(), "is a json.Number that is not a number")
			assert.NotContains(t, invalid.Error(), "seven")
		}
		assert.Len(t, s.seen(), before, "nothing is sent")
	}
}

// TestNumbers_OfAConnection: frames in both directions keep the digits.
func TestNumbers_OfAConnection(t *testing.T) {
	var frames chan string
	live(t, func(p *peer) {
		p.admit()
		_ = p.say(`{"type":"session_hydration","sessionId":"codesess_1","entries":[{"type":[7],"toolArgs":` + free + `}]}`)
		for {
			_, frame, err := p.Read(context.Background())
			if err != nil {
				return
			}
			if strings.Contains(string(frame), "900719") {
				frames <- string(frame)
			}
		}
	}, func(t *testing.T, hub *liveHub) {
		frames = make(chan string, 10)
		conn := connected(t, hub)
		hydration, ok := next(t, conn).(*coder.HubHydrationMessage)
		require.True(t, ok)
		assert.Equal(t, freely, hydration.Entries[0].ToolArgs)
		for name, message := range map[string]func(v any) coder.ClientMessage{
			"data":   func(v any) coder.ClientMessage { return &coder.EventRequest{Data: map[string]any{"a": v}} },
			"params": func(v any) coder.ClientMessage { return &coder.ToolRequest{Params: map[string]any{"a": v}} },
			"result": func(v any) coder.ClientMessage {
				return &coder.RPCUIResponseMessage{ID: "i", Result: map[string]any{"a": v}}
			},
		} {
			require.NoError(t, conn.Send(t.Context(), message(longID)), name)
			assert.Contains(t, <-frames, `"`+name+`":{"a":9007199254740993}`)
			err := conn.Send(t.Context(), message(json.Number("x")))
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "Send", invalid.Operation)
			assert.Equal(t, name+".a", invalid.Field)
		}
		require.NoError(t, conn.RespondUI(t.Context(), "i", longID))
		assert.Contains(t, <-frames, `"result":9007199254740993`)
		require.ErrorContains(t, conn.RespondUI(t.Context(), "i", json.Number("x")), "RespondUI: result is a json.Number that is not a number")
	})
}

// TestNumbers_OfAStream covers presence, hydration and the data of a broadcast.
func TestNumbers_OfAStream(t *testing.T) {
	hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
		return events(r, true,
			strings.Replace(presenceBlock, `{"event"`, `{"participant":{"id":"p","role":[7],"metadata":`+free+`},"event"`, 1),
			"event: hydration\ndata: {\"sessionId\":\"x\",\"entries\":[{\"toolArgs\":"+free+"}]}\n\n",
			strings.Replace(broadcastBlock("tool_call"), `"data":{}`, `"data":`+free, 1),
			shutdownBlock("")), nil
	}}
	observing(t, hub, func(t *testing.T, all observeAll) {
		got, err := all(t.Context(), nil)
		require.NoError(t, err)
		require.Greater(t, len(got), 2)
		assert.Equal(t, freely, got[0].(*coder.PresenceEventMessage).Participant.Metadata)
		assert.Equal(t, freely, got[1].(*coder.SSEHydrationMessage).Entries[0].ToolArgs)
		broadcast := got[2].(*coder.BroadcastEventMessage)
		assert.Equal(t, free, string(broadcast.Data))
		var data map[string]any
		require.NoError(t, broadcast.Decode(&data))
		assert.Equal(t, freely, data)
		var numbered struct {
			ID json.Number `json:"id"`
		}
		require.NoError(t, broadcast.Decode(&numbered))
		assert.Equal(t, longID, numbered.ID)
	})
}

// TestNumbers_Stored: a model that is stored has the digits, too.
func TestNumbers_Stored(t *testing.T) {
	session, err := getSession(t, `{"sessionId":"x","metadata":{"id":9007199254740993,"much":1e400}}`)
	require.NoError(t, err)
	for _, v := range []any{session, coder.CreateSessionRequest{Task: "t", Metadata: session.Metadata}} {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Contains(t, string(encoded), `"metadata":{"id":9007199254740993,"much":1e400}`)
	}
}
