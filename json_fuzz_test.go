package coder

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/wire"
)

// FuzzModels: whatever a Hub sends of any model, each JSON package writes it, and all of them read what was written into an
// equal value. On another Go version the packages are others: see TestJSON_WrittenByOthers.
func FuzzModels(f *testing.F) {
	all := models()
	names := slices.Sorted(maps.Keys(all))
	for i, name := range names {
		full, err := json.Marshal(fullModel(all[name], standard))
		require.NoError(f, err)
		f.Add(uint16(i), full)
	}
	for _, pattern := range []string{"testdata/responses/*.json", "testdata/requests/*.json"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for i, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(uint16(i), text)
		}
	}
	members := make(map[string][]string) // in the letters they have, by those that all can have
	for _, model := range all {
		for name := range known(model) {
			members[folded(name)] = append(members[folded(name)], name)
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, text []byte) {
		if shouts(text, members) {
			return // the packages agree on no letter case
		}
		model := all[names[int(which)%len(names)]]
		want := reflect.New(model)
		if wire.Unmarshal(text, want.Interface()) != nil {
			return
		}
		for _, writer := range []codec{v1, v2, {"wire", wire.Marshal, wire.Unmarshal}} {
			written, err := writer.marshal(want.Interface())
			if err != nil && !jsontext.Value(text).IsValid() {
				continue // a name twice, or a bad byte, in a member that is kept as it came
			}
			require.NoError(t, err, "%s of %s", writer.name, model)
			if !jsontext.Value(written).IsValid() {
				continue
			}
			for _, reader := range []codec{v1, v2, {"wire", wire.Marshal, wire.Unmarshal}, {"exact", wire.Marshal, wire.UnmarshalExact}} {
				assertReads(t, reader, string(written), want.Interface(), model.Name()+" of "+writer.name)
			}
		}
	})
}

func folded(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// shouts reports whether a text has the name of a member in other letters than the member has.
func shouts(text []byte, members map[string][]string) bool {
	dec := jsontext.NewDecoder(bytes.NewReader(text), wire.Accepted)
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return false
		}
		if kind, length := dec.StackIndex(dec.StackDepth()); kind == jsontext.KindBeginObject && length%2 == 1 {
			name := token.String()
			if fields := members[folded(name)]; fields != nil && !slices.Contains(fields, name) {
				return true
			}
		}
	}
}
