package route

import (
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPath(t *testing.T) {
	for id, want := range map[string]string{
		"codesess_1":   "/hub/session/codesess_1/loop",
		"a/b":          "/hub/session/a%2Fb/loop",
		"-_.!~*'()":    "/hub/session/-_.!~*'()/loop",
		"ä ?#%&+=:@;,": "/hub/session/%C3%A4%20%3F%23%25%26%2B%3D%3A%40%3B%2C/loop",
		"...":          "/hub/session/.../loop",
		"{x}":          "/hub/session/%7Bx%7D/loop",
		"\x00\n":       "/hub/session/%00%0A/loop",
	} {
		got, err := Path("/hub/session/{sessionID}/loop", id)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	got, err := Path("/hub/sessions")
	require.NoError(t, err)
	assert.Equal(t, "/hub/sessions", got)
	for _, id := range []string{
		"", ".", "..", "a/../b", "../b", "a/..", "a/./b", `a\..\b`, "a/..\\b", "a//../b", "a/..;x=1/b",
		"%2e%2e", "a/%2E%2e/b", "a%2f..%2Fb", "a/.%2e/b",
		"/x", "x/", "a//b", "/", "//", `\x`, `x\`, `a\/b`, "%2Fx", "x%2f", "a%2F%2fb", "%5Cx", "%252Fx", "%%2F..%2Fx", "%zz%2fx%2f", "%2e%2e/%", ";a", "a/;b", "/;x",
	} {
		_, err := Path("/hub/session/{sessionID}", id)
		var bad *Error
		require.ErrorAs(t, err, &bad, id)
		assert.Equal(t, "sessionID", bad.Field)
	}
	for _, id := range []string{"a..b", "..a", "a/b..", "a/...", ".hidden/x", "1.2.3", "100%", "%zz/..x", "a;..", "a;", "a/b;c"} {
		_, err := Path("/hub/session/{sessionID}", id)
		require.NoError(t, err, id)
	}
	_, err = Path("/hub/session/{sessionID}")
	require.Error(t, err, "a template and too few ids is a mistake of ours")
}

// FuzzPath: an id arrives as it is, unless a gateway would make another route of it.
func FuzzPath(f *testing.F) {
	for _, id := range []string{"codesess_1", "a/b", "a/../b", "%2e%2e", "ä\xff", "?#", "%41", `a\..\b`, "..;x", "%252e%252e", "%zz%2f", "a%3b"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		escaped, err := Path("/x/{id}/y", id)
		require.Equal(t, movesInGateways(id), err != nil, "%v", err)
		if err != nil {
			return
		}
		u, err := url.Parse("http://h" + escaped + "?q=1")
		require.NoError(t, err)
		assert.Equal(t, escaped, u.EscapedPath(), "net/http sends the path as it is")
		assert.Equal(t, "/x/"+id+"/y", u.Path, "the server gets the id back")
		assert.Equal(t, "q=1", u.RawQuery)
	})
}

var (
	escapes    = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	parameters = regexp.MustCompile(`;[^/]*`)
)

// movesInGateways reports whether a gateway that decodes a path up to three times, cuts elements at semicolons, and then
// resolves dots and merges slashes, as package path does, comes to another path.
func movesInGateways(id string) bool {
	for range 3 {
		seen := "/x/" + parameters.ReplaceAllString(strings.ReplaceAll(id, `\`, "/"), "") + "/y"
		if path.Clean(seen) != seen {
			return true
		}
		id = escapes.ReplaceAllStringFunc(id, func(escape string) string {
			c, _ := url.PathUnescape(escape)
			return c
		})
	}
	return false
}

func TestQuery(t *testing.T) {
	var q Query
	got, err := q.String("search", "a b~*&=ä+%26").Bool("includeArchived", true).Int("limit", 20).Int("offset", 0).Encode()
	require.NoError(t, err)
	assert.Equal(t, "?search=a+b%7E*%26%3D%C3%A4%2B%2526&includeArchived=true&limit=20", got)
	got, err = new(Query).String("search", "").Bool("x", false).Int("limit", 0).Encode()
	require.NoError(t, err)
	assert.Empty(t, got)
	_, err = new(Query).Int("limit", 1).Int("offset", -1).Encode()
	require.EqualError(t, err, "offset must not be negative")
}
