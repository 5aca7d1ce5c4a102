//go:build parity

package parity

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// missing stands for a member that is not there.
type missing struct{}

// comparison compares JSON values member by member. Times are compared as times, and a member that
// is absent on one side may be the zero value of Go on the other.
type comparison struct {
	found       []string        // mismatches
	differences map[string]bool // differences on purpose that were met
}

func (c *comparison) value(path string, want, got any) {
	if want == (missing{}) && got == (missing{}) {
		return
	}
	if zero(want) && zero(got) {
		return
	}
	switch w := want.(type) {
	case object:
		if g, ok := got.(object); ok {
			c.object(path, w, g)
			return
		}
	case []any:
		if g, ok := got.([]any); ok {
			c.list(path, w, g)
			return
		}
	case string:
		if g, ok := got.(string); ok && (w == g || sameTime(w, g)) {
			return
		}
	default:
		if want == got {
			return
		}
	}
	if name := listed(path, want, got); name != "" {
		c.differences[name] = true
		return
	}
	c.found = append(c.found, fmt.Sprintf("%s is %s there and %s here", path, show(want), show(got)))
}

func (c *comparison) object(path string, want, got object) {
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		member := func(o object) any {
			if v, ok := o[name]; ok {
				return v
			}
			return missing{}
		}
		c.value(path+"."+name, member(want), member(got))
	}
}

func (c *comparison) list(path string, want, got []any) {
	if len(want) != len(got) {
		c.found = append(c.found, fmt.Sprintf("%s has %d elements there and %d here", path, len(want), len(got)))
		return
	}
	for i := range want {
		c.value(fmt.Sprintf("%s[%d]", path, i), want[i], got[i])
	}
}

// zero tells whether a value is absent, or what a field of Go is that was absent. A null is not.
func zero(v any) bool {
	switch v := v.(type) {
	case missing:
		return true
	case string:
		return v == ""
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	}
	return false
}

func sameTime(a, b string) bool {
	at, err := time.Parse(time.RFC3339, a)
	if err != nil {
		return false
	}
	bt, err := time.Parse(time.RFC3339, b)
	return err == nil && at.Equal(bt)
}

// inListItem matches the unknown members of a session in a list, and of its builder.
var inListItem = regexp.MustCompile(`^\.sessions\[\d+\](\.builder(\.proposal)?)?\.` + unknownPrefix + `\d$`)

// listed names the difference on purpose that a mismatch in a result is.
func listed(path string, want, got any) string {
	switch {
	case want == (missing{}) && inListItem.MatchString(path):
		return "unknown-members-of-list-items"
	case want == (missing{}) && path == ".sandboxSessions":
		return "sandbox-sessions"
	case want == (missing{}) && strings.HasPrefix(path, "init of ") && strings.HasSuffix(path, ".label"):
		return "label-of-a-connection"
	}
	return ""
}

func show(v any) string {
	if v == (missing{}) {
		return "absent"
	}
	text := encode(v)
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

// tree decodes JSON. Nothing at all is an absent value.
func tree(text []byte) (any, error) {
	if len(text) == 0 {
		return missing{}, nil
	}
	var v any
	err := json.Unmarshal(text, &v)
	return v, err
}
