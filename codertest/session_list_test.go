package codertest_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestListPages(t *testing.T) {
	f := start(t)
	for i := 1; i <= 5; i++ {
		f.create(fmt.Sprintf(`{"task":"task %d"}`, i))
	}
	for query, want := range map[string][]any{
		"":                   {"task 5", "task 4", "task 3", "task 2", "task 1"},
		"limit=2":            {"task 5", "task 4"},
		"limit=2&offset=2":   {"task 3", "task 2"},
		"limit=2&offset=4":   {"task 1"},
		"offset=3":           {"task 2", "task 1"},
		"limit=2&offset=5":   {},
		"limit=2&offset=500": {},
		"limit=0":            {},
		"limit=100":          {"task 5", "task 4", "task 3", "task 2", "task 1"},
	} {
		list := f.get("/hub/sessions?" + query)
		assert.Equal(t, want, all(t, at(t, list, "sessions", "websocket"), "label"), query)
		assert.InDelta(t, 5, list["total"], 0, "%s: total counts what is on no page too", query)
		assert.Equal(t, []any{}, at(t, list, "sessions", "sandbox"))
	}
	for _, query := range []string{"limit=-1", "limit=x", "offset=-1", "offset=1.5", "includeArchived=maybe"} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "GET", "/hub/sessions?"+query, "")["code"], query)
	}
}

func TestSearch(t *testing.T) {
	f := start(t)
	f.create(`{"task":"Fix the LOGIN page","label":"one"}`)
	f.create(`{"task":"Other","label":"Login two"}`)
	f.create(`{"task":"Other","label":"three","metadata":{"ticket":"auth-LOGIN","tags":["\u00fcber"],"said":"\u00c9t\u00e9 \"now\""}}`)
	f.create(`{"task":"Other","label":"four","metadata":{"login":true}}`)
	f.create(`{"task":"Other","label":"five","tags":["login"],"env":{"LOGIN":"login"}}`)
	archived := f.create(`{"task":"Old login","label":"six"}`)
	f.Session(archived).Archive()
	for query, want := range map[string][]any{
		"search=login":                       {"four", "three", "Login two", "one"},
		"search=LoGiN":                       {"four", "three", "Login two", "one"},
		"search=login&includeArchived=true":  {"six", "four", "three", "Login two", "one"},
		"search=login&includeArchived=false": {"four", "three", "Login two", "one"},
		"search=login&limit=1&offset=1":      {"three"},
		"search=fix+the":                     {"one"},
		"search=auth-login":                  {"three"},
		"search=" + url.QueryEscape("ÜBER"):  {"three"},
		"search=true":                        {"four"},
		"search=nothing":                     {},

		"search=" + url.QueryEscape(`été "NOW"`):   {"three"}, // as it reads, not as it is escaped
		"search=" + url.QueryEscape(`"auth-login`): {},
	} {
		list := f.get("/hub/sessions?" + query)
		assert.Equal(t, want, all(t, at(t, list, "sessions", "websocket"), "label"), query)
	}
	assert.InDelta(t, 4, f.get("/hub/sessions?search=login&limit=1")["total"], 0)
}

func TestListDoesNotObserve(t *testing.T) {
	f := start(t)
	f.create(`{"task":"x"}`)
	for range 4 {
		assert.Equal(t, "creating", at(t, f.get("/hub/sessions"), "sessions", "websocket", 0, "status"))
	}
}
