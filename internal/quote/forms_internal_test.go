package quote

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestForms_AsWithoutIndex: the index finds what a look at every form at every place finds.
func TestForms_AsWithoutIndex(t *testing.T) {
	var list []string
	for _, key := range []string{"abab-key", "abab", "abab-key-longer", "abac-key", `"%&~\key`, "%25a", "~0/ab", "baba", "&amp;ab"} {
		list = append(list, formsOf(key)...)
	}
	indexed := newForms(list)
	slow := &forms{}
	for _, form := range list {
		slow.all = append(slow.all, family{forms: []string{form}})
	}
	for c := range slow.byFirst {
		slow.byFirst[c] = slow.all
	}
	pieces := append(list, "a", "b", "ab", "%", "25", "%61", "&", "amp;", "&#97;", "~", "~0", "~1", `\`, `\u0061`, `\x62`, "-", "key", " ", `"`, "/")
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 20_000 {
		var s strings.Builder
		for range 1 + random.IntN(8) {
			s.WriteString(pieces[random.IntN(len(pieces))])
		}
		want := slow.replace(s.String())
		if want != s.String() {
			found++
		}
		require.Equal(t, want, indexed.replace(s.String()), "%q", s.String())
	}
	require.Greater(t, found, 5000)
}
