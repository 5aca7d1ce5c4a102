// Package wire turns the Hub's JSON into Go values and back. It is strict about syntax and
// lenient about meaning: what the Hub got wrong in one member does not cost the others.
package wire

import (
	"bytes"
	"context"
	v1 "encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	// Accepted are the options under which the Hub's answers are read: a duplicate name or a bad
	// byte in a text is no reason to lose an answer.
	Accepted = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

	strict   = Accepted
	tolerant = json.JoinOptions(Accepted, json.WithUnmarshalers(
		json.JoinUnmarshalers(checksElements, keepsNumbers, json.UnmarshalFromFunc(skipMismatch))))
	// produced are the options of request bodies: the same value gives the same bytes.
	produced = json.JoinOptions(json.Deterministic(true), WritesNumbers)
)

// Marshal encodes a request body.
func Marshal(in any) ([]byte, error) {
	text, err := json.Marshal(methodless(in), produced)
	return text, named(err)
}

// Unmarshal decodes one JSON value and nothing after it. Members of the wrong kind are left at
// their zero value; only text that is not JSON is an error.
func Unmarshal(data []byte, out any) error {
	out = methodless(out)
	if quickly(data, out) {
		return nil
	}
	return unmarshal(data, out)
}

// unmarshal is Unmarshal without the quick way.
func unmarshal(data []byte, out any) error {
	err := json.Unmarshal(data, out, surveyOf(data).strict())
	if !meaning(err) {
		return err
	}
	reset(out)
	return json.Unmarshal(data, out, tolerant)
}

// UnmarshalFlat is Unmarshal for a struct without lists and free JSON, of which there is no need to look at the text first:
// that costs more than to decode a large frame of which little is wanted.
func UnmarshalFlat(data []byte, out any) error {
	out = methodless(out)
	if quickly(data, out) {
		return nil
	}
	err := json.Unmarshal(data, out, strict)
	if !meaning(err) {
		return err
	}
	reset(out)
	return json.Unmarshal(data, out, tolerant)
}

// UnmarshalExact decodes one JSON value of which every member has the right kind.
func UnmarshalExact(data []byte, out any) error {
	out = methodless(out)
	if quickly(data, out) {
		return nil
	}
	err := json.Unmarshal(data, out, surveyOf(data).strict())
	if meaning(err) && json.Unmarshal(data, out, strictLong) == nil { // a number beyond the range
		return nil
	}
	return named(err)
}

// UnmarshalCallers decodes into a value that this module knows nothing of. Every member must have
// the right kind; names match in any case.
func UnmarshalCallers(ctx context.Context, open func() io.Reader, out any) error {
	out = methodless(out)
	anyCase := json.MatchCaseInsensitiveNames(true)
	long := surveyRead(open).long.found
	err := json.UnmarshalRead(&endingReader{ctx, open()}, out, numbersFor(long), anyCase)
	if !long && meaning(err) { // perhaps because of a number beyond the range
		err = json.UnmarshalRead(&endingReader{ctx, open()}, out, strictLong, anyCase)
	}
	return named(err)
}

// UnmarshalRead is Unmarshal for a value that can be read twice, whose cost is known. It ends with the context.
func (c *Cost) UnmarshalRead(ctx context.Context, open func() io.Reader, out any) error {
	out = methodless(out)
	if quicklyRead(&endingReader{ctx, open()}, c.size, out) {
		return nil
	}
	known := survey{nulls: c.nulls}
	_, _ = io.Copy(&known.long, open()) // an error is met again by the decoder
	err := json.UnmarshalRead(&endingReader{ctx, open()}, out, known.strict())
	if !meaning(err) {
		return err
	}
	reset(out)
	return json.UnmarshalRead(&endingReader{ctx, open()}, out, tolerant)
}

// endingReader ends with its context: a large text takes seconds to decode.
type endingReader struct {
	ctx    context.Context
	source io.Reader
}

func (r *endingReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.source.Read(p[:min(len(p), 64<<10)])
}

// survey is what one look at a text says about how to decode it: the usual way is the fastest.
type survey struct {
	long  digits
	nulls nulls
}

func surveyOf(text []byte) *survey {
	var s survey
	_, _ = s.Write(text)
	return &s
}

func surveyRead(open func() io.Reader) *survey {
	var s survey
	_, _ = io.Copy(&s, open()) // an error is met again by the decoder
	return &s
}

func (s *survey) Write(part []byte) (int, error) {
	_, _ = s.long.Write(part)
	return s.nulls.Write(part)
}

// strict returns the options of the strict pass.
func (s *survey) strict() json.Options {
	if s.nulls.count > 0 {
		return strictElements
	}
	return numbersFor(s.long.found)
}

// meaning tells errors of meaning, which a second pass may overcome, from errors of syntax.
func meaning(err error) bool {
	if err == nil { // which spares the variable below
		return false
	}
	var semantic *json.SemanticError
	return errors.As(err, &semantic) && !errors.Is(err, ErrNotAnObject)
}

// reset undoes what a pass that failed has left.
func reset(out any) { reflect.ValueOf(out).Elem().SetZero() }

var (
	rawType       = reflect.TypeFor[jsontext.Value]()
	rawV1Type     = reflect.TypeFor[v1.RawMessage]() // the same as rawType where v2 is in the standard library
	spanType      = reflect.TypeFor[Span]()          // it is about the whole text
	timeType      = reflect.TypeFor[time.Time]()
	byteType      = reflect.TypeFor[byte]()
	decodesItself = []reflect.Type{reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[json.Unmarshaler]()}
)

// skipMismatch is asked for every value of the second pass, at any depth. It leaves the value to
// the usual rules where it has members that may be worth saving, and otherwise decodes it by
// itself, so that its failure stays with it.
func skipMismatch(dec *jsontext.Decoder, v any) error {
	t := reflect.TypeOf(v).Elem()
	if t == rawType || t == rawV1Type || t == spanType || t.Kind() == reflect.Interface {
		return errors.ErrUnsupported
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if descends(t, dec.PeekKind()) {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if json.Unmarshal(raw, v, strictLong) != nil && !setWhole(raw, v) {
		reset(v)
	}
	return nil
}

// setWhole accepts 3.0 and 1e3 as the whole numbers that they are.
func setWhole(raw []byte, v any) bool {
	number, err := strconv.ParseFloat(string(raw), 64)
	to := reflect.ValueOf(v).Elem()
	if err != nil || number != math.Trunc(number) || math.Abs(number) > 1<<53 {
		return false
	}
	if to.Kind() == reflect.Pointer && reflect.Zero(to.Type().Elem()).CanInt() {
		to.Set(reflect.New(to.Type().Elem()))
		to = to.Elem()
	}
	if !to.CanInt() || to.OverflowInt(int64(number)) {
		return false
	}
	to.SetInt(int64(number))
	return true
}

// descends tells whether a JSON value of this kind has members that match those of t.
func descends(t reflect.Type, kind jsontext.Kind) bool {
	switch t.Kind() {
	case reflect.Struct:
		if kind != jsontext.KindBeginObject || t == timeType {
			return false
		}
		return !slices.ContainsFunc(decodesItself, reflect.PointerTo(t).Implements)
	case reflect.Map:
		return kind == jsontext.KindBeginObject
	case reflect.Slice:
		return kind == jsontext.KindBeginArray && t.Elem() != byteType
	}
	return false
}

// Valid reports whether data is one JSON value.
func Valid(data []byte) bool { return jsontext.Value(data).IsValid(Accepted) }

// Refused reports whether a top-level object says "ok": false or "success": false.
func Refused(data []byte) bool {
	if !bytes.Contains(data, []byte(`"ok"`)) && !bytes.Contains(data, []byte(`"success"`)) {
		return false
	}
	var verdict struct {
		OK      *bool `json:"ok"`
		Success *bool `json:"success"`
	}
	if Unmarshal(data, &verdict) != nil {
		return false
	}
	return verdict.OK != nil && !*verdict.OK || verdict.Success != nil && !*verdict.Success
}
