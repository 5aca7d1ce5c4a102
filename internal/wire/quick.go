package wire

import (
	"bytes"
	"encoding"
	v1 "encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-json-experiment/json"
)

// The quick way decodes what Hubs usually send, in a fraction of the time that json takes: structs of texts, flags and
// whole numbers, one pass, and nothing that has to be asked for at each value. It has no rules of its own about what is not usual.
// Of whatever it is not sure of, be it valid or not, it says so, and what it has done is undone: a duplicate name, a member
// of another kind than its field, a name with an escape, a text that is not UTF-8, a number that is not whole, null in a
// list, deep nesting, what is no JSON. Unmarshal decides then.

// quickly decodes a text into a struct that is zero, and reports whether it was sure of it.
func quickly(text []byte, out any) bool {
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Type().Elem().Kind() != reflect.Struct {
		return false
	}
	q := quicks.Get().(*quick)
	defer q.release()
	q.text, q.size = text, len(text)
	return q.all(v.Elem())
}

// quicklyRead is quickly for a text that is not in one piece. It looks at it through a window: an element of a list, or
// what is beside the lists, must fit into that.
func quicklyRead(source io.Reader, size int, out any) bool {
	window := windows.Get().(*[windowSize]byte)
	defer windows.Put(window)
	q := quicks.Get().(*quick)
	defer q.release()
	q.text, q.source, q.size = window[:0], source, size
	q.refill(0)
	return q.all(reflect.ValueOf(out).Elem())
}

const (
	windowSize = 256 << 10
	// windowLeast is how much there is of what follows when an element begins.
	windowLeast = 64 << 10
)

var windows = sync.Pool{New: func() any { return new([windowSize]byte) }}

// refill moves the window, if little of it is left behind i, and returns where i is then.
func (q *quick) refill(i int) int {
	if q.source == nil || i < 0 || len(q.text)-i >= windowLeast {
		return i
	}
	q.passed += i
	left := copy(q.text[:cap(q.text)], q.text[i:])
	n, err := io.ReadFull(q.source, q.text[left:cap(q.text)])
	if err != nil {
		q.source = nil
		q.failed = !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
	}
	q.text = q.text[:left+n]
	return 0
}

// quick is one text that is decoded the quick way.
type quick struct {
	known  texts
	text   []byte
	depth  int
	size   int       // of all of it
	passed int       // what came before the text
	source io.Reader // what follows the text; nil: nothing
	failed bool      // the source did not end
}

var quicks = sync.Pool{New: func() any { return new(quick) }}

// release keeps what is known for the next text.
func (q *quick) release() {
	q.text, q.depth, q.size, q.passed, q.source, q.failed = nil, 0, 0, 0, nil, false
	quicks.Put(q)
}

// all decodes the text into v, and reports whether it was sure of it. Otherwise v is zero again.
func (q *quick) all(v reflect.Value) bool {
	plan := planOf(v.Type())
	if plan == nil || !v.IsZero() {
		return false
	}
	if end := q.refill(plan.read(q, v, space(q.text, 0))); end >= 0 && space(q.text, end) == len(q.text) && q.source == nil && !q.failed {
		return true
	}
	v.SetZero()
	return false
}

// reader reads the value at i into v, which is zero, and returns where it ends, or a negative number if it is not sure.
type reader func(q *quick, v reflect.Value, i int) int

// plan is how a struct is read. There is one for each type.
type plan struct {
	fields map[string]*field
	extra  []int // where unknown members go; nil: nowhere
}

type field struct {
	name  string
	index []int
	bit   uint64
	read  reader
	next  atomic.Pointer[field] // what followed it last time
}

var plans sync.Map // from a type to its plan, or a nil plan

func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := &plan{fields: make(map[string]*field)}
	if !p.add(t, nil) {
		p = nil
	}
	known, _ := plans.LoadOrStore(t, p)
	return known.(*plan)
}

// add adds the fields of a struct. It returns false for one that the quick way does not know how to read.
func (p *plan) add(t reflect.Type, path []int) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(slices.Clip(path), i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			if name != "" || options != "" || f.Type.Kind() != reflect.Struct || ownForm(f.Type) || !p.add(f.Type, index) {
				return false
			}
			continue
		case name == "-" && options == "", !f.IsExported():
			continue
		case options == "embed":
			if p.extra != nil || f.Type != reflect.TypeFor[map[string]v1.RawMessage]() {
				return false
			}
			p.extra = index
			continue
		case name == "" || options != "" && options != "omitzero" && options != "omitempty" || p.fields[name] != nil || len(p.fields) == 64:
			return false
		}
		read := readerOf(f.Type)
		if read == nil {
			return false
		}
		p.fields[name] = &field{name: name, index: index, bit: 1 << len(p.fields), read: read}
	}
	return true
}

// ownForm reports whether a type has a form of its own in JSON.
func ownForm(t reflect.Type) bool {
	for _, method := range []reflect.Type{
		reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[json.UnmarshalerFrom](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if reflect.PointerTo(t).Implements(method) {
			return true
		}
	}
	return false
}

// readerOf returns how values of a type are read; nil if json has to read the whole text.
func readerOf(t reflect.Type) reader {
	switch {
	case t == spanType:
		return nil
	case t == rawType, t == rawV1Type:
		return readRaw
	case t == timeType:
		return readTime
	case t == reflect.TypeFor[map[string]string]():
		return readTexts
	case t == reflect.TypeFor[map[string]any]():
		return readObject
	case t == reflect.TypeFor[any]():
		return readFree
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return readByMethod
	case ownForm(t):
		return readByJSON
	}
	switch t.Kind() {
	case reflect.String:
		return readText
	case reflect.Bool:
		return readBool
	case reflect.Int, reflect.Int64:
		return readInt
	case reflect.Pointer:
		return pointerReader(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return sliceReader(t.Elem())
		}
	case reflect.Struct:
		return structReader(t)
	}
	return readByJSON
}

// structReader finds the plan when it is first needed: a type may contain itself.
func structReader(t reflect.Type) reader {
	var (
		once  sync.Once
		known *plan
	)
	return func(q *quick, v reflect.Value, i int) int {
		once.Do(func() { known = planOf(t) })
		if known == nil { // json has to see where it is in the text
			return -1
		}
		if isNull(q.text, i) {
			return i + len("null")
		}
		return known.read(q, v, i)
	}
}

func (p *plan) read(q *quick, v reflect.Value, i int) int {
	var (
		seen  uint64
		extra map[string]v1.RawMessage
		last  *field
	)
	return q.members(i, func(name []byte, i int) int {
		if f := p.find(name, last); f != nil {
			if seen&f.bit != 0 {
				return -1
			}
			seen |= f.bit
			last = f
			return f.read(q, v.FieldByIndex(f.index), i)
		}
		end := endOfValue(q.text, i)
		if end < 0 || p.extra == nil {
			return end
		}
		if extra == nil {
			extra = make(map[string]v1.RawMessage)
			*v.FieldByIndex(p.extra).Addr().Interface().(*map[string]v1.RawMessage) = extra
		}
		if _, twice := extra[string(name)]; twice {
			return -1
		}
		extra[q.known.text(name)] = bytes.Clone(q.text[i:end])
		return end
	})
}

// members reads the object at i, and returns where it ends. member reads the value at i of a member, and returns where that
// ends.
func (q *quick) members(i int, member func(name []byte, i int) int) int {
	if i >= len(q.text) || q.text[i] != '{' || q.depth == deepest {
		return -1
	}
	q.depth++
	defer func() { q.depth-- }()
	if i = space(q.text, i+1); i < len(q.text) && q.text[i] == '}' {
		return i + 1
	}
	for {
		name, after := plainText(q.text, i)
		if i = space(q.text, after); i < 0 || i == len(q.text) || q.text[i] != ':' {
			return -1
		}
		if i = space(q.text, member(name, space(q.text, i+1))); i < 0 || i == len(q.text) {
			return -1
		}
		switch q.text[i] {
		case '}':
			return i + 1
		case ',':
			i = space(q.text, i+1)
		default:
			return -1
		}
	}
}

// find returns the field of a name, nil if there is none. Servers tend to write the members in one order: what followed
// last time is tried first.
func (p *plan) find(name []byte, last *field) *field {
	if last != nil {
		if f := last.next.Load(); f != nil && f.name == string(name) {
			return f
		}
	}
	f := p.fields[string(name)]
	if f != nil && last != nil {
		last.next.Store(f)
	}
	return f
}

func isNull(text []byte, i int) bool {
	return i < len(text) && text[i] == 'n' && endOfWord(text, i, "null") > 0
}

// expected is how many more elements a list is made longer by that has n and is full, if those that follow at i are as long as
// those since began. A list of large structs that grows in many steps costs as much as its elements.
func (q *quick) expected(n, began, i int) int {
	passed := q.passed + i - began
	if n < 4 || passed <= 0 {
		return 1
	}
	return 1 + min(n, n*max(0, q.size-q.passed-i)/passed)
}

func pointerReader(t reflect.Type) reader {
	read := readerOf(t)
	if read == nil {
		return nil
	}
	return func(q *quick, v reflect.Value, i int) int {
		if isNull(q.text, i) {
			return i + len("null")
		}
		v.Set(reflect.New(t))
		return read(q, v.Elem(), i)
	}
}

func sliceReader(t reflect.Type) reader {
	read := readerOf(t)
	if read == nil {
		return nil
	}
	empty := reflect.MakeSlice(reflect.SliceOf(t), 0, 0)
	return func(q *quick, v reflect.Value, i int) int {
		if isNull(q.text, i) {
			return i + len("null")
		}
		if i == len(q.text) || q.text[i] != '[' {
			return -1
		}
		if i = space(q.text, i+1); i < len(q.text) && q.text[i] == ']' {
			v.Set(empty.Convert(v.Type()))
			return i + 1
		}
		began := q.passed + i
		for n := 0; ; n++ {
			if isNull(q.text, i) {
				return -1
			}
			if v.Cap() == n {
				v.Grow(q.expected(n, began, i))
			}
			v.SetLen(n + 1)
			i = q.refill(i)
			if i = space(q.text, read(q, v.Index(n), i)); i < 0 || i == len(q.text) {
				return -1
			}
			switch q.text[i] {
			case ']':
				return q.refill(i + 1)
			case ',':
				i = space(q.text, i+1)
			default:
				return -1
			}
		}
	}
}
