package wire

import (
	"bytes"
	"encoding"
	"hash/maphash"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The readers of single values of the quick way: texts, free JSON, flags, whole numbers, times, and what json or a method reads.

func readText(q *quick, v reflect.Value, i int) int {
	if isNull(q.text, i) {
		return i + len("null")
	}
	text, end := q.string(i)
	if end >= 0 {
		v.SetString(text)
	}
	return end
}

// string returns the text at i, and where it ends.
func (q *quick) string(i int) (string, int) {
	if i >= len(q.text) || q.text[i] != '"' {
		return "", -1
	}
	end := endOfText(q.text, i)
	if end < 0 {
		return "", -1
	}
	text := q.text[i+1 : end-1]
	if bytes.IndexByte(text, '\\') >= 0 {
		plain, err := jsontext.AppendUnquote(nil, q.text[i:end])
		if err != nil {
			return "", -1
		}
		return string(plain), end
	}
	if !utf8.Valid(text) {
		return "", -1
	}
	return q.known.text(text), end
}

// texts are short texts that have been made before: many come again, in the next element of a list or in the next answer.
type texts [256]string

const longestKnown = 64

var seed = maphash.MakeSeed()

func (t *texts) text(of []byte) string {
	if len(of) > longestKnown {
		return string(of)
	}
	known := &t[maphash.Bytes(seed, of)%uint64(len(t))]
	if *known != string(of) {
		*known = string(of)
	}
	return *known
}

func readTexts(q *quick, v reflect.Value, i int) int {
	if isNull(q.text, i) {
		return i + len("null")
	}
	texts := make(map[string]string)
	*v.Addr().Interface().(*map[string]string) = texts
	return q.members(i, func(name []byte, i int) int {
		text, end := q.string(i)
		if _, twice := texts[string(name)]; twice {
			return -1
		}
		texts[q.known.text(name)] = text
		return end
	})
}

// readFree reads free JSON.
func readFree(q *quick, v reflect.Value, i int) int {
	value, end := q.free(i)
	if end >= 0 && value != nil {
		v.Set(reflect.ValueOf(value))
	}
	return end
}

// readObject reads an object of free JSON.
func readObject(q *quick, v reflect.Value, i int) int {
	if isNull(q.text, i) {
		return i + len("null")
	}
	object, end := q.object(i)
	*v.Addr().Interface().(*map[string]any) = object
	return end
}

func (q *quick) object(i int) (map[string]any, int) {
	object := make(map[string]any)
	end := q.members(i, func(name []byte, i int) int {
		value, end := q.free(i)
		if _, twice := object[string(name)]; twice {
			return -1
		}
		object[q.known.text(name)] = value
		return end
	})
	return object, end
}

func (q *quick) list(i int) ([]any, int) {
	list := []any{}
	if q.depth == deepest {
		return nil, -1
	}
	q.depth++
	defer func() { q.depth-- }()
	if i = space(q.text, i+1); i < len(q.text) && q.text[i] == ']' {
		return list, i + 1
	}
	for {
		value, end := q.free(i)
		list = append(list, value)
		if i = space(q.text, end); i < 0 || i == len(q.text) {
			return nil, -1
		}
		switch q.text[i] {
		case ']':
			return list, i + 1
		case ',':
			i = space(q.text, i+1)
		default:
			return nil, -1
		}
	}
}

// free is a value of any kind.
func (q *quick) free(i int) (any, int) {
	if i >= len(q.text) {
		return nil, -1
	}
	switch q.text[i] {
	case '"':
		text, end := q.string(i)
		return text, end
	case '{':
		object, end := q.object(i)
		return object, end
	case '[':
		list, end := q.list(i)
		return list, end
	case 't':
		return true, endOfWord(q.text, i, "true")
	case 'f':
		return false, endOfWord(q.text, i, "false")
	case 'n':
		return nil, endOfWord(q.text, i, "null")
	}
	end := endOfNumber(q.text, i)
	if end < 0 || isWhole(q.text[i:end]) { // a float64 may not hold it
		return nil, -1
	}
	number, err := strconv.ParseFloat(string(q.text[i:end]), 64)
	if err != nil {
		return nil, -1
	}
	return number, end
}

func readBool(q *quick, v reflect.Value, i int) int {
	if end := endOfWord(q.text, i, "true"); end > 0 {
		v.SetBool(true)
		return end
	}
	if end := endOfWord(q.text, i, "false"); end > 0 {
		return end
	}
	return endOfWord(q.text, i, "null")
}

func readInt(q *quick, v reflect.Value, i int) int {
	if isNull(q.text, i) {
		return i + len("null")
	}
	n, end := wholeNumber(q.text, i)
	if end >= 0 {
		if v.OverflowInt(n) {
			return -1
		}
		v.SetInt(n)
	}
	return end
}

func readRaw(q *quick, v reflect.Value, i int) int {
	end := endOfValue(q.text, i)
	if end >= 0 {
		v.SetBytes(bytes.Clone(q.text[i:end]))
	}
	return end
}

func readTime(q *quick, v reflect.Value, i int) int {
	if isNull(q.text, i) {
		return i + len("null")
	}
	text, end := plainText(q.text, i)
	if end < 0 || v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text) != nil {
		return -1
	}
	return end
}

func readByMethod(q *quick, v reflect.Value, i int) int {
	end := endOfValue(q.text, i)
	if end < 0 || v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(q.text[i:end:end]) != nil {
		return -1
	}
	return end
}

// readByJSON leaves a part of the text to json.
func readByJSON(q *quick, v reflect.Value, i int) int {
	end := endOfValue(q.text, i)
	if end < 0 {
		return -1
	}
	text := q.text[i:end]
	if json.Unmarshal(text, v.Addr().Interface(), surveyOf(text).strict()) != nil {
		return -1
	}
	return end
}
