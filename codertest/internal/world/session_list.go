package world

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

type sessionList struct {
	Sessions struct {
		WebSocket []sessionItem `json:"websocket"`
		Sandbox   []sessionItem `json:"sandbox"` // bare sandboxes, which this Hub has none of
	} `json:"sessions"`
	Total int `json:"total"`
}

// list answers with those first that were created last. The total counts all pages. Listing moves
// no session on.
func (all *sessions) list(c *Call) (any, error) {
	archived, err := c.queryFlag("includeArchived")
	if err != nil {
		return nil, err
	}
	limit, offset, err := c.queryPage()
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(c.Query.Get("search"))
	var found []*Session
	for s := range all.newestFirst() {
		if (archived || s.status != statusArchived) && s.mentions(search) {
			found = append(found, s)
		}
	}
	slices.SortStableFunc(found, func(a, b *Session) int { return b.createdAt.Compare(a.createdAt) })
	var list sessionList
	list.Total = len(found)
	for _, s := range page(found, limit, offset) {
		list.Sessions.WebSocket = append(list.Sessions.WebSocket, s.item())
	}
	return list, nil
}

// mentions reports whether label, task or metadata have a text, which is in lower
// case.
func (s *Session) mentions(text string) bool {
	if contains(s.label, text) || contains(s.task, text) {
		return true
	}
	for name, value := range s.metadata {
		if contains(name, text) || contains(metadataText(value), text) {
			return true
		}
	}
	return false
}

func contains(s, lower string) bool { return strings.Contains(strings.ToLower(s), lower) }

// metadataText returns what a string holds, and anything else as compact JSON.
func metadataText(value jsontext.Value) string {
	if value.Kind() == '"' && bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) {
		return string(value[1 : len(value)-1]) // as it is written: a search looks at every session
	}
	var text string
	if json.Unmarshal(value, &text, wireFormat) == nil {
		return text
	}
	value = value.Clone()
	_ = value.Format(wireFormat)
	return string(value)
}
