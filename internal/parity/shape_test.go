//go:build parity

package parity

import (
	"encoding/json"
	"maps"
	"slices"
)

// shape is one of the original's schemas, as node/shapes.mjs describes them.
type shape struct {
	Type     string           `json:"type"` // object, array, record, enum, union, string, number, boolean, unknown, any or null
	Open     bool             `json:"open"` // unknown members are kept
	Members  map[string]shape `json:"members"`
	Element  *shape           `json:"element"`
	Values   []any            `json:"values"`
	Options  []shape          `json:"options"`
	Optional bool             `json:"optional"`
	Nullable bool             `json:"nullable"`
	Integer  bool             `json:"integer"`
	Default  json.RawMessage  `json:"default"`

	exact bool // generated without unknown members
}

// names returns the members in a fixed order, on which the generator depends.
func (s *shape) names() []string { return slices.Sorted(maps.Keys(s.Members)) }

// object returns the option of a union that is an object, or the shape itself.
func (s shape) object() shape {
	for _, option := range s.Options {
		if option.Type == "object" {
			return option
		}
	}
	return s
}

// with returns a copy with more members, or others.
func (s shape) with(members map[string]shape) shape {
	s.Members = maps.Clone(s.Members)
	maps.Copy(s.Members, members)
	return s
}

// without returns a copy that lacks members.
func (s shape) without(names ...string) shape {
	s.Members = maps.Clone(s.Members)
	for _, name := range names {
		delete(s.Members, name)
	}
	return s
}

func (s shape) optional() shape { s.Optional = true; return s }

func listOf(s shape) shape { return shape{Type: "array", Element: &s} }

// knowledge is what the original knows.
type knowledge struct {
	Methods []string         `json:"methods"`
	Calls   map[string]call  `json:"calls"` // by the original's names
	Schemas map[string]shape `json:"schemas"`
	Lists   map[string][]any `json:"lists"`
}

// call has the schemas that a method checks its body and its answer with.
type call struct {
	Response *shape `json:"response"`
	Body     *shape `json:"body"`
}

func describeOriginal(d *driver) (*knowledge, error) {
	samples := make(map[string][]any)
	for _, m := range methods {
		if !m.discovery() {
			samples[m.original()] = append([]any{}, m.sample...)
		}
	}
	text, err := d.do(order{Op: "describe", Args: samples})
	if err != nil {
		return nil, err
	}
	k := new(knowledge)
	return k, json.Unmarshal(text, k)
}

// response is the shape of the answer to a method, as the generator uses it: with the members that
// the Hub sends and the original passes on unchecked, but package coder has types for.
func (k *knowledge) response(m *method) *shape {
	described := k.Calls[m.original()].Response
	if described == nil {
		return nil
	}
	s := *described
	text, number := shape{Type: "string"}, shape{Type: "number"}
	switch m.name {
	case "UpdateSession":
		skill := k.Schemas["CoderSkillRef"]
		skill.exact = true
		s = s.with(map[string]shape{
			"skills":        listOf(skill).optional(),
			"enabledAgents": listOf(text).optional(),
			"metadata":      {Type: "record", Element: &shape{Type: "unknown"}, Optional: true},
		})
	case "GetReplay":
		s = s.with(map[string]shape{
			"entries":       listOf(k.Schemas["ConversationEntry"]).optional(),
			"entriesSource": text.optional(),
			"sourceCounts": shape{Type: "object", exact: true, Members: map[string]shape{
				"durableStream": number, "sessionEntries": number, "eventHistory": number,
			}}.optional(),
		})
	}
	return &s
}
