//go:build !go1.27

package wire

import (
	"cmp"
	"encoding"
	v1 "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// Before Go 1.27 encoding/json ignores the tag option embed and would lose what Extra holds. Types
// with an Extra therefore have JSON methods there, which call MarshalOpen and UnmarshalOpen. Those
// follow the rules of encoding/json, so that it does the same before and after Go 1.27.
//
// The JSON of the Hub must not go through these methods: it has other rules, and every method costs
// a second scan of its object. See methodless.

var (
	// legacy are the rules of encoding/json. The errors are those of v2, which meaning understands.
	legacy = json.JoinOptions(jsonv1.DefaultOptionsV1(), jsonv1.ReportErrorsWithLegacySemantics(false))
	// legacyOutput leaves it to encoding/json to escape HTML: only it knows what its caller wants.
	legacyOutput   = json.JoinOptions(legacy, jsontext.EscapeForHTML(false), WritesNumbers)
	legacyTolerant = json.JoinOptions(legacy, json.WithUnmarshalers(json.UnmarshalFromFunc(skipMismatch)))
)

// Before Go 1.27 the module of v2 knows a json.Number of encoding/json only as a string.
var (
	// WritesNumbers writes it as the number that it is.
	WritesNumbers = json.WithMarshalers(json.MarshalToFunc(writeNumber))
	readsNumbers  = json.UnmarshalFromFunc(readNumber)
)

func writeNumber(enc *jsontext.Encoder, n v1.Number) error {
	number := jsontext.Value(cmp.Or(n, "0")) // as encoding/json does
	first, last := number[0], number[len(number)-1]
	if first != '-' && !isDigit(first) || !isDigit(last) || !number.IsValid() { // blanks around it would be valid
		return fmt.Errorf("cannot parse %q as JSON number", string(n))
	}
	if kind, length := enc.StackIndex(enc.StackDepth()); kind == jsontext.KindBeginObject && length%2 == 0 {
		return enc.WriteToken(jsontext.String(string(number))) // a name
	}
	return enc.WriteValue(number)
}

func readNumber(dec *jsontext.Decoder, n *v1.Number) error {
	if dec.PeekKind() != jsontext.KindNumber {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	*n = v1.Number(raw)
	return err
}

// errMethods is returned instead of calling the same method without end.
var errMethods = errors.New("a nil pointer, or a type that has fields that are not exported")

// MarshalOpen is MarshalJSON of a type with an Extra.
func MarshalOpen(v any) ([]byte, error) {
	plain := methodless(v)
	if plain == v {
		return nil, errMethods
	}
	text, err := json.Marshal(plain, legacyOutput)
	return text, named(err)
}

// UnmarshalOpen is UnmarshalJSON of a type with an Extra. Members of the wrong kind are left at
// their zero value, as by Unmarshal. A value that is not an object is an error.
func UnmarshalOpen(data []byte, v any) error {
	plain := methodless(v)
	if plain == v {
		return errMethods
	}
	err := json.Unmarshal(data, plain, legacy)
	if !meaning(err) || jsontext.Value(data).Kind() != jsontext.KindBeginObject {
		return named(err)
	}
	return json.Unmarshal(data, plain, legacyTolerant) // overwrites what the first pass has set
}

// methodless returns v as a type with the same fields whose structs with an Extra have no JSON
// methods. A pointer points to the same memory. What has no such structs is returned as it is.
func methodless(v any) any {
	p := reflect.ValueOf(v)
	if p.Kind() == reflect.Struct && plainType(p.Type()) != p.Type() {
		p = reflect.New(p.Type())
		p.Elem().Set(reflect.ValueOf(v))
	}
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return v
	}
	t := p.Type().Elem()
	plain := plainType(t)
	if plain == t {
		return v
	}
	return reflect.NewAt(plain, p.UnsafePointer()).Interface()
}

var (
	plainTypes sync.Map // from a type to what withoutMethods makes of it
	namedTypes sync.Map // from what withoutMethods has made to the type it was made of
)

func plainType(t reflect.Type) reflect.Type {
	if plain, ok := plainTypes.Load(t); ok {
		return plain.(reflect.Type)
	}
	plain := withoutMethods(t, make(map[reflect.Type]bool))
	plainTypes.Store(t, plain)
	return plain
}

// named gives an error the type that the caller knows.
func named(err error) error {
	if err == nil { // which spares the variable below
		return nil
	}
	var semantic *json.SemanticError
	if errors.As(err, &semantic) && semantic.GoType != nil {
		if t, ok := namedTypes.Load(semantic.GoType); ok {
			semantic.GoType = t.(reflect.Type)
		}
	}
	return err
}

// withoutMethods returns a type with the memory layout of t, for methodless. It follows pointers,
// slices and structs with exported fields. Elsewhere, as in maps and in types that contain
// themselves, the structs stay as they are and their methods are called.
func withoutMethods(t reflect.Type, within map[reflect.Type]bool) (plain reflect.Type) {
	changed := codesItself(t)
	if changed && !hasExtra(t) || within[t] {
		return t
	}
	within[t] = true
	defer func() {
		delete(within, t)
		if plain != t {
			namedTypes.Store(plain, t)
		}
	}()
	switch t.Kind() {
	case reflect.Pointer:
		if elem := withoutMethods(t.Elem(), within); elem != t.Elem() {
			return reflect.PointerTo(elem)
		}
	case reflect.Slice:
		if elem := withoutMethods(t.Elem(), within); elem != t.Elem() {
			return reflect.SliceOf(elem)
		}
	case reflect.Struct:
		fields := make([]reflect.StructField, t.NumField())
		for i := range fields {
			f := t.Field(i)
			kind := withoutMethods(f.Type, within)
			if !f.IsExported() || f.Anonymous && reflect.PointerTo(kind).NumMethod() > 0 {
				return t // reflect.StructOf does not build it
			}
			changed = changed || kind != f.Type
			f.Type = kind
			fields[i] = f
		}
		if changed {
			return reflect.StructOf(fields)
		}
	}
	return t
}

// module is the import path of package coder.
var module = strings.TrimSuffix(reflect.TypeFor[ErrorBody]().PkgPath(), "/internal/wire")

// hasExtra reports whether t is a struct of this module that keeps unknown members.
func hasExtra(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || !strings.HasPrefix(t.PkgPath(), module) {
		return false
	}
	extra, ok := t.FieldByName("Extra")
	return ok && extra.Tag.Get("json") == ",embed"
}

var codingMethods = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.MarshalerTo](), reflect.TypeFor[encoding.TextMarshaler](),
	reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[encoding.TextUnmarshaler](),
}

// codesItself reports whether t has a JSON or text form of its own.
func codesItself(t reflect.Type) bool {
	return slices.ContainsFunc(codingMethods, reflect.PointerTo(t).Implements)
}
