//go:build parity

package parity

import (
	"testing"
)

// errorForm is a form of error answers (A to F of the Hub's contract). The text is the Hub's.
type errorForm struct {
	name        string
	contentType string
	body        func(g *generator, text string) string
	status      int
	header      map[string]string
}

func fixed(body string) func(*generator, string) string {
	return func(*generator, string) string { return body }
}

func members(o func(g *generator, text string) object) func(*generator, string) string {
	return func(g *generator, text string) string { return encode(o(g, text)) }
}

var errorForms = []errorForm{
	{name: "A", body: members(func(_ *generator, text string) object { return object{"error": text} })},
	{name: "A, problem+json", contentType: "application/problem+json", body: members(func(_ *generator, text string) object {
		return object{"error": text}
	})},
	{name: "B", body: members(func(g *generator, text string) object {
		return object{"success": false, "code": pick(g, []string{
			"CODER_SESSION_NOT_FOUND", "CODER_SESSION_ARCHIVED", "CODER_SESSION_CONFLICT", "CODER_INVALID_REQUEST", "SOMETHING_NEW",
		}), "message": text, "details": object{"nested": g.anything(2)}, "unknown": g.anything(1)}
	})},
	{name: "C", body: members(func(_ *generator, text string) object { return object{"error": text, "message": "not this"} })},
	{name: "D", body: members(func(_ *generator, text string) object {
		return object{"error": object{"name": "HubError", "message": "not this"}, "message": text}
	})},
	{name: "D, a report that is none", body: members(func(_ *generator, text string) object {
		return object{"error": object{"issues": []any{object{"code": "c", "path": []any{"a"}, "message": "m"}}}, "message": text}
	})},
	{name: "E", body: members(func(g *generator, text string) object {
		return object{"error": object{"name": "ZodError", "issues": []any{
			object{"code": "invalid_type", "path": []any{"repos", 0, "url"}, "message": text, "input": g.anything(1)},
			object{"code": "custom", "path": []any{}, "message": ""},
		}}, "message": "not this"}
	})},
	{name: "F, HTML", contentType: "text/html", body: fixed("<html><h1>Oops</h1></html>")},
	{name: "F, nothing", contentType: "text/plain", body: fixed("")},
	{name: "F, no JSON", body: fixed("Oops")},
	{name: "F, a list", body: fixed(`["Oops"]`)},
	{name: "F, a text", body: fixed(`"Oops"`)},
	{name: "F, an empty object", body: fixed(`{}`)},
	{name: "F, null", body: fixed(`null`)},
	{name: "upgrade by code", body: fixed(`{"code":"UPGRADE_REQUIRED","message":"Oops"}`)},
	{name: "upgrade by status", status: 426, body: fixed(`{"error":"Oops"}`)},
	{name: "payment", status: 402, body: fixed(`{"error":"Oops"}`), header: map[string]string{"x-upgrade-url": "https://hub.invalid/plans?a=b"}},
	{name: "payment without a URL", status: 402, contentType: "text/html", body: fixed(`Oops`)},
}

// errorStatuses are those that neither client gives another meaning.
var errorStatuses = []int{300, 400, 401, 403, 404, 404, 405, 408, 410, 413, 415, 418, 422, 429, 500, 504, 505, 511, 599}

// TestErrors plays every form against every method, with statuses and texts that vary.
func TestErrors(t *testing.T) {
	eachMethod(t, func(t *testing.T, m *method) {
		g := newGenerator("errors " + m.name)
		for _, form := range errorForms {
			form.scenario(g, m).check(t)
		}
	})
}

func (f errorForm) scenario(g *generator, m *method) scenario {
	a := answer{
		status: f.status, contentType: f.contentType, header: map[string]string{}, chunked: g.IntN(3) == 0,
		body: f.body(g, pick(g, []string{"No such thing", "Grüße 世界", "two\nlines", "<b>", `"quoted"`})),
	}
	if a.status == 0 {
		a.status = pick(g, errorStatuses)
	}
	for name, value := range f.header {
		a.header[name] = value
	}
	if g.IntN(2) == 0 {
		a.header["x-session-id"] = "trace_1"
	}
	if a.status == 429 && g.IntN(2) == 0 {
		a.header["Retry-After"] = "3"
	}
	return scenario{method: m.name, args: g.arguments(known, m), answers: []answer{a}}
}
