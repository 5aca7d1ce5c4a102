package wire_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/wire"
)

// everything has a field of each kind that the quick way reads.
type everything struct {
	embedded
	Text    string                     `json:"text"`
	Name    name                       `json:"name,omitzero"`
	Flag    bool                       `json:"flag"`
	Count   int                        `json:"count"`
	Wide    int64                      `json:"wide"`
	Pointer *part                      `json:"pointer,omitzero"`
	Parts   []part                     `json:"parts"`
	Texts   []string                   `json:"texts"`
	Counts  []*int                     `json:"counts"`
	Time    time.Time                  `json:"time,omitzero"`
	At      coder.UnixMilli            `json:"at,omitzero"`
	Free    map[string]any             `json:"free"`
	Env     map[string]string          `json:"env"`
	Any     any                        `json:"any"`
	Float   float64                    `json:"float"`
	Raw     json.RawMessage            `json:"raw"`
	Origin  *coder.SessionOrigin       `json:"origin"`
	Self    *everything                `json:"self"`
	Narrow  int8                       `json:"narrow"`
	Bytes   []byte                     `json:"bytes"`
	Hidden  string                     `json:"-"`
	Extra   map[string]json.RawMessage `json:",embed"`
}

type (
	name     string
	embedded struct {
		Inner string `json:"inner"`
	}
	part struct {
		ID    string `json:"id"`
		Deep  []part `json:"deep"`
		Other bool   `json:"other"`
	}
	page struct {
		Sessions struct {
			WebSocket []coder.SessionListItem `json:"websocket"`
		} `json:"sessions"`
		Total int `json:"total"`
	}
)

// decoded are values to decode a text into.
var decoded = []func() any{
	newOf[everything], newOf[page], newOf[coder.Session], newOf[coder.SessionReplay], newOf[coder.SessionEventHistory],
	newOf[coder.SessionParticipants], newOf[coder.LoopStateResponse], newOf[coder.CreateSessionResponse],
	newOf[coder.UpdateSessionResponse], newOf[coder.SessionTodosResponse], newOf[coder.CustomAgentListResponse],
	newOf[coder.GitHubAccountListResponse], newOf[coder.GitHubRepositoryListResponse], newOf[coder.SavedSkillListResponse],
	newOf[coder.WorkspaceDetail], newOf[coder.WorkspaceListResponse], newOf[coder.HubInitMessage], newOf[coder.AgentMessage],
	newOf[coder.RPCState], newOf[coder.User],
}

func newOf[T any]() any { return new(T) }

// TestQuickly_Answers: what Hubs answer is decoded the quick way, and as the slow one does it.
func TestQuickly_Answers(t *testing.T) {
	for file, out := range map[string]any{
		"session-get": new(coder.Session), "session-get-paused": new(coder.Session), "session-get-minimal": new(coder.Session),
		"session-get-builder": new(coder.Session), "session-replay": new(coder.SessionReplay),
		"session-events-history": new(coder.SessionEventHistory), "session-participants": new(coder.SessionParticipants),
		"session-create": new(coder.CreateSessionResponse), "session-create-full": new(coder.CreateSessionResponse),
		"session-update": new(coder.UpdateSessionResponse), "session-todos": new(coder.SessionTodosResponse),
		"sessions-list": new(page), "agents-list": new(coder.CustomAgentListResponse),
		"github-repos": new(coder.GitHubRepositoryListResponse), "skills-library-list": new(coder.SavedSkillListResponse),
		"workspaces-list": new(coder.WorkspaceListResponse), "users-list-object": new(struct {
			Users []coder.User `json:"users"`
		}),
	} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "responses", file+".json"))
			require.NoError(t, err)
			require.True(t, wire.Quickly(text, out), "it takes the slow way")
			slow := reflect.New(reflect.TypeOf(out).Elem()).Interface()
			require.NoError(t, wire.Slowly(text, slow))
			assert.Equal(t, slow, out)
		})
	}
}

// TestQuickly: each kind of field, in each form that it is sure of.
func TestQuickly(t *testing.T) {
	for _, text := range []string{
		`{}`, ` { } `, "\n{\t\"text\" :\r\"a\" , \"flag\":true}\n",
		`{"text":"","name":"x","flag":false,"count":0,"wide":999999999999999,"inner":"i"}`,
		`{"text":"ä\u2028\n\\ \ud83d\ude00 \"quoted\""}`, `{"text":"` + strings.Repeat("long ", 100) + `"}`,
		`{"text":null,"name":null,"flag":null,"count":null,"pointer":null,"parts":null,"texts":null,"time":null,"at":null}`,
		`{"free":null,"env":null,"any":null,"float":null,"raw":null,"origin":null,"self":null}`,
		`{"pointer":{"id":"a","deep":[{"id":"b","deep":[]}],"other":true}}`,
		`{"parts":[],"texts":[],"counts":[]}`, `{"parts":[{},{"id":"a"},{"id":"a"}],"texts":["a","a",""],"counts":[1,2]}`,
		`{"time":"2026-01-15T10:42:17.512Z","at":1768473737512}`,
		`{"free":{"a":1,"b":"c","d":{"e":true,"f":null},"g":false},"env":{"A":"b","":""}}`,
		`{"any":[1,{"a":2}],"float":1.5,"raw":{"a": [1]},"origin":"web"}`, `{"origin":{"type":"web","more":1}}`,
		`{"self":{"self":{"text":"deep"}},"narrow":1,"bytes":"aGk="}`, `{"unknown":[1,{"a":null}],"":{},"Text":"another"}`,
		`{"-":"extra","Hidden":"extra"}`, `{"any":-1e3}`, `{"float":-0.5}`,
		`{"free":{"a":[],"b":[1,"c",null,[true,{"d":-0.25}]],"e":-0},"any":null}`, `{"any":[]}`, `{"any":"a"}`, `{"any":123456789012345}`,
	} {
		var quick, slow everything
		if assert.True(t, wire.Quickly([]byte(text), &quick), text) {
			require.NoError(t, wire.Slowly([]byte(text), &slow))
			assert.Equal(t, slow, quick, text)
		}
	}
}

// TestQuickly_NotSure: what is not usual is left alone, valid or not.
func TestQuickly_NotSure(t *testing.T) {
	for _, text := range []string{
		``, ` `, `null`, `[]`, `"x"`, `1`, `{`, `{}x`, `{} {}`, `{"text"}`, `{"text":}`, `{"text":"a",}`, `{"text":"a" "b":1}`, `{"text":"a"`, `{"text":"a`,
		`{text:"a"}`, `{"text":'a'}`, `{"text":"a","text":"b"}`, `{"unknown":1,"unknown":2}`, `{"te\u0078t":"a"}`, `{"ä":1}`,
		`{"text":1}`, `{"text":true}`, `{"text":{}}`, `{"text":nul}`, "{\"text\":\"\xff\"}", "{\"text\":\"a\nb\"}", `{"text":"\ud800"}`, `{"text":"\x"}`,
		`{"flag":1}`, `{"flag":"true"}`, `{"flag":tru}`, `{"count":1.0}`, `{"count":1e3}`, `{"count":-1}`, `{"count":"1"}`, `{"count":01}`,
		`{"wide":1234567890123456}`, `{"narrow":300}`, `{"pointer":[]}`, `{"pointer":1}`, `{"parts":{}}`, `{"parts":[null]}`, `{"parts":[1]}`, `{"parts":[{}`,
		`{"parts":[{},]}`, `{"texts":[null]}`, `{"texts":["a" "b"]}`, `{"time":"yesterday"}`, `{"time":1}`, `{"at":"yesterday"}`,
		`{"free":[]}`, `{"free":{"a":12345678901234567890}}`, `{"free":{"a":1,"a":2}}`, `{"free":{"a":[1}}`, `{"free":{"a":[1,]}}`, `{"free":{"a":[1 2]}}`, `{"free":{"a":[`, `{"any":1e400}`, `{"any":1234567890123456}`, `{"any":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, `{"env":{"a":1}}`, `{"env":{"a":"1","a":"2"}}`,
		`{"origin":1}`, `{"raw":{}`, `{"bytes":"%"}`, `{"float":"1"}`,
		`{"self":` + strings.Repeat(`{"self":`, 100) + `{}` + strings.Repeat(`}`, 101),
	} {
		var out everything
		assert.False(t, wire.Quickly([]byte(text), &out), text)
		assert.Zero(t, out, "what was done must be undone: %s", text)
	}
	full := everything{Text: "kept"}
	assert.False(t, wire.Quickly([]byte(`{"count":1}`), &full), "there is something in it")
	assert.Equal(t, everything{Text: "kept"}, full)
	for _, out := range []any{new([]string), new(map[string]string), new(struct{ A int }), new(struct {
		A int `json:"a,string"`
	}), (*everything)(nil)} {
		assert.False(t, wire.Quickly([]byte(`{}`), out), "%T", out)
	}
}

// TestQuicklyRead: elements and members lie across the ends of windows.
func TestQuicklyRead(t *testing.T) {
	for _, long := range []int{1, 100, 5000, 60_000} {
		t.Run(fmt.Sprint(long), func(t *testing.T) {
			var text bytes.Buffer
			text.WriteString(`{"parts":[`)
			for i := 0; text.Len() < 5*wire.WindowSize/2; i++ {
				if i > 0 {
					text.WriteString(", ")
				}
				fmt.Fprintf(&text, `{"id":"%d %s", "deep": [{"id":"x"}]}`, i, strings.Repeat("y", long+i%7))
			}
			text.WriteString(`],"texts":["a"],"count":7}`)
			for name, source := range map[string]io.Reader{
				"whole": bytes.NewReader(text.Bytes()), "bytes": iotest.OneByteReader(bytes.NewReader(text.Bytes())),
				"end with the last byte": iotest.DataErrReader(bytes.NewReader(text.Bytes())),
			} {
				var quick, slow everything
				require.True(t, wire.QuicklyRead(source, text.Len(), &quick), name)
				require.NoError(t, wire.Slowly(text.Bytes(), &slow))
				assert.Equal(t, slow, quick, name)
				assert.LessOrEqual(t, cap(quick.Parts), 2*len(quick.Parts))
			}
		})
	}
}

// TestQuicklyRead_NotSure: a text that does not end, or has more than a value, or an element that does not fit.
func TestQuicklyRead_NotSure(t *testing.T) {
	list := `{"parts":[` + strings.Repeat(`{"id":"x"},`, wire.WindowSize/8) + `{}]}`
	for name, source := range map[string]io.Reader{
		"cut":        strings.NewReader(list[:len(list)-2]),
		"failed":     io.MultiReader(strings.NewReader(list[:len(list)/2]), iotest.ErrReader(errors.New("lost"))),
		"failed end": io.MultiReader(strings.NewReader(list), iotest.ErrReader(errors.New("lost"))),
		"more":       strings.NewReader(list + strings.Repeat(" ", wire.WindowSize) + "x"),
		"too large":  strings.NewReader(`{"parts":[{"id":"` + strings.Repeat("x", 2*wire.WindowSize) + `"}]}`),
		"text":       strings.NewReader(`{"text":"` + strings.Repeat("x", 2*wire.WindowSize) + `"}`),
		"nothing":    strings.NewReader(""),
	} {
		var out everything
		assert.False(t, wire.QuicklyRead(source, len(list), &out), name)
		assert.Zero(t, out)
	}
}

// TestQuickly_Growth: a list does not become longer than what it holds deserves, whatever its first elements look like.
func TestQuickly_Growth(t *testing.T) {
	text := `{"parts":[` + strings.Repeat(`{},`, 100) + `{"id":"` + strings.Repeat("x", 1<<20) + `"}]}`
	var out everything
	require.True(t, wire.Quickly([]byte(text), &out))
	assert.LessOrEqual(t, cap(out.Parts), 2*len(out.Parts)+2)
}

// FuzzQuickly: where the quick way is sure, the slow one finds the same; through a window it is sure of the same.
func FuzzQuickly(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "responses", "*.json"))
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		for i := range decoded {
			f.Add(byte(i), text)
		}
	}
	f.Add(byte(0), []byte(`{"text":"ä\n","free":{"a":{"b":1}},"env":{"a":"b"},"parts":[{"deep":[{}]}],"x":1,"time":"2026-01-15T10:42:17.512Z","at":1}`))
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		create := decoded[int(which)%len(decoded)]
		quick, slow, read := create(), create(), create()
		sure := wire.Quickly(text, quick)
		if sure {
			require.NoError(t, wire.Slowly(text, slow))
			require.Equal(t, slow, quick)
		} else {
			require.Zero(t, reflect.ValueOf(quick).Elem().Interface())
		}
		if len(text) > wire.WindowSize {
			return
		}
		require.Equal(t, sure, wire.QuicklyRead(iotest.HalfReader(bytes.NewReader(text)), len(text), read))
		require.Equal(t, quick, read)
	})
}
