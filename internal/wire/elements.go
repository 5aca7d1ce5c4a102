package wire

import (
	"bytes"
	"errors"
	"reflect"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ErrNotAnObject says that an element of a list of objects is something else. It is not left at its zero
// value, as a member of the wrong kind is: two bytes would become an object of hundreds, and nobody could
// tell it from one that the Hub sent.
var ErrNotAnObject = errors.New("an element of a list is not an object")

var (
	checksElements = json.UnmarshalFromFunc(checkElement)
	strictElements = json.JoinOptions(Accepted, json.WithUnmarshalers(
		json.JoinUnmarshalers(checksElements, keepsNumbers)))
)

// checkElement refuses an element that is no object, and leaves all else to the usual rules.
func checkElement(dec *jsontext.Decoder, v any) error {
	if kind, _ := dec.StackIndex(dec.StackDepth()); kind != jsontext.KindBeginArray {
		return errors.ErrUnsupported
	}
	if t := reflect.TypeOf(v).Elem(); dec.PeekKind() != jsontext.KindBeginObject && descends(t, jsontext.KindBeginObject) && t.Kind() == reflect.Struct {
		return ErrNotAnObject
	}
	return errors.ErrUnsupported
}

// nulls counts the nulls in lists, on which the strict pass does not fail. What looks like one in a text is
// counted too.
type nulls struct {
	count int
	last  byte   // the last byte before carry that is no white space
	carry []byte // the beginning of a null that may go on
}

// countNulls counts the nulls in the lists of a text.
func countNulls(text []byte) int {
	var n nulls
	_, _ = n.Write(text)
	return n.count
}

// Write looks at a part of the text. It never fails.
func (n *nulls) Write(part []byte) (int, error) {
	text := part
	if len(n.carry) > 0 {
		text = slices.Concat(n.carry, part)
	}
	end := 0 // of the null before
	for {
		i := bytes.Index(text[end:], []byte("null"))
		if i < 0 {
			break
		}
		if before := n.before(text[:end+i]); before == '[' || before == ',' {
			n.count++
		}
		end += i + len("null")
	}
	keep := len("nul")
	for keep > 0 && !bytes.HasSuffix(text[end:], []byte("nul"[:keep])) {
		keep--
	}
	n.last = n.before(text[:len(text)-keep])
	n.carry = append([]byte(nil), text[len(text)-keep:]...)
	return len(part), nil
}

// before returns the last byte of what was written, and then text, that is no white space.
func (n *nulls) before(text []byte) byte {
	if text = bytes.TrimRight(text, " \t\r\n"); len(text) > 0 {
		return text[len(text)-1]
	}
	return n.last
}
