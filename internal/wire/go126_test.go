//go:build !go1.27

package wire

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type open struct {
	ID    string                     `json:"id"`
	List  []string                   `json:"list"`
	Extra map[string]json.RawMessage `json:",embed"`
}

func (o open) MarshalJSON() ([]byte, error)     { return MarshalOpen(&o) }
func (o *open) UnmarshalJSON(data []byte) error { return UnmarshalOpen(data, o) }

type embedding struct {
	Base
	N     int             `json:"n"`
	At    time.Time       `json:"at,omitzero"`
	Other *open           `json:"other,omitzero"`
	More  []open          `json:"more,omitzero"`
	ByID  map[string]open `json:"byId,omitzero"`
}

// Base is exported, as what public types embed is.
type Base open

func (b Base) MarshalJSON() ([]byte, error)     { return MarshalOpen(&b) }
func (b *Base) UnmarshalJSON(data []byte) error { return UnmarshalOpen(data, b) }

func (e embedding) MarshalJSON() ([]byte, error)     { return MarshalOpen(&e) }
func (e *embedding) UnmarshalJSON(data []byte) error { return UnmarshalOpen(data, e) }

type around[T any] struct {
	Value T `json:"value"`
}

type hidden struct {
	Open   open `json:"open"`
	hidden int  //nolint:unused // what reflect.StructOf does not build
}

type hiding struct {
	Extra map[string]json.RawMessage `json:",embed"`
	text  bool                       //nolint:unused // as above
}

func (h hiding) MarshalJSON() ([]byte, error)     { return MarshalOpen(&h) }
func (h *hiding) UnmarshalJSON(data []byte) error { return UnmarshalOpen(data, h) }

type itself struct {
	Open  open     `json:"open"`
	Inner []itself `json:"inner"`
}

// TestMethodless: the memory layout is the same, and the methods are gone.
func TestMethodless(t *testing.T) {
	for _, v := range []any{
		new(open), new(embedding), new(around[open]), new(around[*embedding]), new(around[[]embedding]),
		new(around[[]*open]), new([]around[[]open]), new(itself),
	} {
		plain := methodless(v)
		assert.NotEqual(t, reflect.TypeOf(v), reflect.TypeOf(plain))
		assert.Equal(t, reflect.ValueOf(v).Pointer(), reflect.ValueOf(plain).Pointer())
		assertSameLayout(t, reflect.TypeOf(v).Elem(), reflect.TypeOf(plain).Elem())
		assert.False(t, codesItself(reflect.TypeOf(plain).Elem()))
	}
	for _, v := range []any{
		nil, (*open)(nil), new(string), new(thing), thing{}, new(map[string]open), new(any), new(hidden), new(ErrorBody), new(time.Time),
	} {
		assert.Equal(t, v, methodless(v), "%T stays as it is", v)
	}
	assert.IsType(t, methodless(new(around[open])), methodless(around[open]{}), "a struct becomes a pointer to a copy")
}

func assertSameLayout(t *testing.T, a, b reflect.Type) {
	t.Helper()
	require.Equal(t, a.Kind(), b.Kind())
	require.Equal(t, a.Size(), b.Size(), a)
	require.Equal(t, a.Align(), b.Align(), a)
	if a == b {
		return
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice:
		assertSameLayout(t, a.Elem(), b.Elem())
	case reflect.Struct:
		require.Equal(t, a.NumField(), b.NumField())
		for i := range a.NumField() {
			require.Equal(t, a.Field(i).Offset, b.Field(i).Offset)
			require.Equal(t, a.Field(i).Tag, b.Field(i).Tag)
			assertSameLayout(t, a.Field(i).Type, b.Field(i).Type)
		}
	default:
		require.Equal(t, a, b)
	}
}

// TestTwoRules: the Hub's JSON and that of encoding/json are read and written by their own rules, in
// structs within structs too.
func TestTwoRules(t *testing.T) {
	const text = `{"value":{"ID":"x","n":1,"other":{"ID":"y"},"more":[{"ID":"z"}],"new":1}}`
	var hub, caller around[*embedding]
	require.NoError(t, Unmarshal([]byte(text), &hub))
	require.NoError(t, json.Unmarshal([]byte(text), &caller))
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	assert.Equal(t, &embedding{
		Base: Base{Extra: map[string]json.RawMessage{"ID": raw(`"x"`), "new": raw(`1`)}}, N: 1,
		Other: &open{Extra: map[string]json.RawMessage{"ID": raw(`"y"`)}}, More: []open{{Extra: map[string]json.RawMessage{"ID": raw(`"z"`)}}},
	}, hub.Value)
	assert.Equal(t, &embedding{
		Base: Base{ID: "x", Extra: map[string]json.RawMessage{"new": raw(`1`)}}, N: 1, Other: &open{ID: "y"}, More: []open{{ID: "z"}},
	}, caller.Value)

	for _, v := range []any{around[*embedding]{&embedding{More: []open{{ID: "z"}}}}, &around[*embedding]{&embedding{More: []open{{ID: "z"}}}}} {
		out, err := Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `{"value":{"id":"","list":[],"n":0,"more":[{"id":"z","list":[]}]}}`, string(out))
		out, err = json.Marshal(v)
		require.NoError(t, err)
		assert.Equal(t, `{"value":{"id":"","list":null,"n":0,"more":[{"id":"z","list":null}]}}`, string(out))
	}
	_, err := Marshal(&around[open]{open{ID: "\xff"}})
	require.Error(t, err, "the Hub is not sent what was not meant")
	out, err := json.Marshal(&around[open]{open{ID: "\xff"}})
	require.NoError(t, err)
	assert.Contains(t, string(out), "\ufffd")
}

// TestUnmarshalOpen: a member of the wrong kind does not cost the others, at any depth.
func TestUnmarshalOpen(t *testing.T) {
	for in, want := range map[string]embedding{
		`{"id":7,"n":1}`: {N: 1},
		`{"n":"x","id":"x","other":{"id":[],"list":["a",1]}}`: {Base: Base{ID: "x"}, Other: &open{List: []string{"a", ""}}},
		`{"n":"x","byId":{"a":{"id":1,"list":["b"]}}}`:        {ByID: map[string]open{"a": {List: []string{"b"}}}},
		` {"n":"x","id":"blanks"} `:                           {Base: Base{ID: "blanks"}},
		`{"other":7,"n":2}`:                                   {N: 2},
	} {
		var got embedding
		require.NoError(t, got.UnmarshalJSON([]byte(in)), in)
		assert.Equal(t, want, got, in)
	}
	require.ErrorIs(t, new(hiding).UnmarshalJSON([]byte(`{}`)), errMethods, "not a call of itself without end")
	require.ErrorIs(t, (*embedding)(nil).UnmarshalJSON([]byte(`{}`)), errMethods)
	_, err := hiding{}.MarshalJSON()
	require.ErrorIs(t, err, errMethods)
	for _, in := range []string{`7`, ` []`, `"x"`, `{`, ``, `{"n":"x",}`} {
		require.Error(t, new(embedding).UnmarshalJSON([]byte(in)), in)
	}
}

// TestErrorsNameTypes: an error names the type of the caller, not one that was built for it.
func TestErrorsNameTypes(t *testing.T) {
	for _, err := range []error{
		new(embedding).UnmarshalJSON([]byte(`7`)),
		UnmarshalExact([]byte(`{"value":[7]}`), new(around[[]embedding])),
		UnmarshalExact([]byte(`{"value":7}`), new(around[[]embedding])),
		UnmarshalCallers(t.Context(), opens(`{"value":7}`), new(around[*embedding])),
	} {
		require.ErrorContains(t, err, "wire.embedding")
		assert.NotContains(t, err.Error(), "struct {")
	}
}
