package codertest_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/cassette"
)

// FuzzReplay plays whatever can be read: no panic but that of a handler that cuts the connection, and no wait for what
// does not come. A request gets the first answer that was recorded for one like it, or is listed as missing.
func FuzzReplay(f *testing.F) {
	get, post := `"method":"GET","url":"http://h/api/hub/a?b=1&c=2"`, `"method":"POST","url":"http://h/p/api/hub/a","json":{"a":1}`
	f.Add(tape(exchange("1", `"method":"GET","url":"http://h/api/hub/a"`, "200", `{"n":1}`)), "GET", "/api/hub/a?x=1", "{}")
	f.Add(tape(exchange("1", get, "200", `{"n":1}`), exchange("2", get, "202", `[]`), exchange("3", post, "201", `{"n":2}`)), "GET", "/q/api/hub/a?c=2&orgId=o&b=1", "")
	f.Add(tape(exchange("1", post, "201", `{"n":2}`), exchange("2", post, "202", `{"n":3}`)), "POST", "/api/hub/a?api_key=k", `{"a": 1}`)
	f.Add(tape(exchange("1", post, "201", `{"n":2}`)), "POST", "/api/hub/a", `{"a":1,"b":2}`)
	f.Add(tape(`{"n":1,"is":"request","method":"GET","url":"http://h"}`, `{"n":1,"is":"answer","status":404,"header":{"Content-Length":["9"]}}`,
		`{"n":1,"is":"body","text":"a"}`, `{"n":1,"is":"body","base64":"/w=="}`, `{"n":1,"is":"end","how":"whole"}`), "GET", "/", "")
	f.Add(tape(`{"n":1,"is":"request","method":"PUT","url":"http://h/a","text":"1"}`, `{"n":1,"is":"answer","status":200}`, `{"n":1,"is":"end","how":"cut"}`), "PUT", "/a", "1")
	f.Add(tape(exchange("1", `"method":"PUT","url":"http://h/a","text":"1"`, "200", `{}`)), "PUT", "/a", "1]")
	f.Add(tape(exchange("1", `"method":"PUT","url":"http://h/a","json":[9007199254740993]`, "200", `{}`)), "PUT", "/a", "[9007199254740992]")
	f.Add(tape(`{"n":1,"is":"request","method":"POST","url":"://?","text":"x"}`, `{"n":1,"is":"answer","status":103,"header":{"":["\n"]}}`), "POST", "/", "x")
	f.Add(tape(`{"n":1,"is":"request",`+socketRequest, `{"n":1,"is":"answer","status":101,"header":{"Upgrade":["websocket"]}}`, `{"n":1,"is":"sent","text":"["}`), "GET", "/api/ws?role=controller&sessionId=s", "")
	hubs := codertest.WithInMemoryNetwork()
	f.Fuzz(func(t *testing.T, recording, method, target, body string) {
		hub, err := codertest.Replay(strings.NewReader(recording), hubs)
		if err != nil {
			return
		}
		defer hub.Close()
		recorded, err := cassette.Read(strings.NewReader(recording))
		require.NoError(t, err)
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		waits := false // the Hub may, for the client to leave, which then leaves at once
		for _, x := range recorded.Exchanges {
			end, ended := x.Ended()
			waits = waits || !ended || end.How == cassette.Left
		}
		if waits {
			leave()
		}
		req, err := http.NewRequestWithContext(ctx, method, "http://h"+target, strings.NewReader(body))
		if err != nil || req.URL.Path == "" { // no server is asked for that
			return
		}
		want, sure := firstLike(recorded, req, body)
		w, cut := httptest.NewRecorder(), false
		func() {
			defer func() {
				if why := recover(); why != nil {
					if cut = why == http.ErrAbortHandler; !cut { //nolint:errorlint // it is that value
						panic(why)
					}
				}
			}()
			hub.Handler().ServeHTTP(w, req)
		}()
		missing := hub.Missing()
		if !sure || waits {
			return
		}
		if want == nil {
			assert.Len(t, missing, 1)
			assert.Equal(t, http.StatusNotImplemented, w.Code)
			return
		}
		require.Empty(t, missing)
		if end, _ := want.Ended(); end.How != cassette.Whole {
			assert.True(t, cut)
			return
		}
		said := ""
		for _, line := range want.Lines[1:] {
			said += string(line.Bytes())
		}
		assert.Equal(t, want.Lines[0].Status, w.Code)
		assert.Equal(t, said, w.Body.String())
	})
}

// firstLike is the first exchange of a recording whose request has the method of another, its path as of the last /api/, its
// parameters and its body, nil if there is none. It is not sure of requests in which something is taken out, and of
// recordings without all of the texts.
func firstLike(recorded *cassette.Tape, req *http.Request, body string) (first *cassette.Exchange, sure bool) {
	redaction := &cassette.Redaction{}
	safe := redaction.Body([]byte(body), 0)
	path, query, ok := placeAndQuery(req.URL)
	if !ok || recorded.OmitTexts || redaction.URL(req.URL.String()) != req.URL.String() || !sameBody(string(safe.Bytes()), body) || safe.Broken {
		return nil, false
	}
	for _, x := range recorded.Exchanges {
		for _, line := range append(x.Lines, x.Request) {
			if line.Omitted > 0 || line.Status == http.StatusSwitchingProtocols {
				return nil, false
			}
		}
		u, err := url.Parse(x.Request.URL)
		if err != nil || u.Host == "" || u.String() != x.Request.URL {
			return nil, false
		}
		itsPath, itsQuery, ok := placeAndQuery(u)
		if !ok {
			return nil, false
		}
		if first == nil && x.Request.Method == req.Method && itsPath == path && maps.EqualFunc(itsQuery, query, sameValues) && sameBody(string(x.Request.Bytes()), body) {
			first = x
		}
	}
	return first, true
}

// placeAndQuery are what counts of a URL. It is not sure of discovery, and of what people write in many ways.
func placeAndQuery(u *url.URL) (place string, query url.Values, sure bool) {
	place = u.EscapedPath()
	if place == "" {
		place = "/"
	}
	if i := strings.LastIndex(place, "/api/"); i >= 0 {
		place = place[i:]
	}
	query, err := url.ParseQuery(u.RawQuery)
	for name := range query {
		if cassette.IsCredential(name) || name == "orgId" || name == "org_id" {
			delete(query, name)
		}
	}
	return place, query, err == nil && u.Fragment == "" && u.User == nil && !strings.HasSuffix(place, "/coder")
}

func sameValues(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// sameBody compares JSON by its meaning.
func sameBody(a, b string) bool {
	if !json.Valid([]byte(a)) || !json.Valid([]byte(b)) {
		return a == b
	}
	var values [2]any
	for i, text := range []string{a, b} {
		dec := json.NewDecoder(strings.NewReader(text))
		dec.UseNumber()
		_ = dec.Decode(&values[i])
	}
	return reflect.DeepEqual(values[0], values[1])
}
