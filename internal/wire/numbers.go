package wire

import (
	v1 "encoding/json"
	"errors"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// In free JSON (any, and what is in a map[string]any) a number becomes a float64, as usual, unless that would
// lose something: a whole number that a float64 does not hold, or would not be written as again, and a number
// beyond its range become a json.Number with all digits. The decoder is slower for that, so it is done only for texts that have such a number:
// digits finds the first kind, and the second fails in the strict pass.

// longNumber is the number of digits from which on a whole number may not fit into a float64.
const longNumber = 16

var (
	keepsNumbers = json.JoinUnmarshalers(json.UnmarshalFromFunc(keepNumber), readsNumbers)
	strictLong   = json.JoinOptions(Accepted, json.WithUnmarshalers(keepsNumbers))
)

// numbersFor returns the options of the strict pass.
func numbersFor(long bool) json.Options {
	if long {
		return strictLong
	}
	return strict
}

func keepNumber(dec *jsontext.Decoder, v *any) error {
	if dec.PeekKind() != jsontext.KindNumber || reflect.ValueOf(*v).Kind() == reflect.Pointer {
		return errors.ErrUnsupported
	}
	raw, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if f, err := strconv.ParseFloat(string(raw), 64); err == nil && (!isWhole(raw) || keepsDigits(f, raw)) {
		*v = f
	} else {
		*v = v1.Number(raw)
	}
	return nil
}

// isWhole reports whether a number is written without fraction and exponent, with as many digits as may be too
// many. "-0" is none of these.
func isWhole(number []byte) bool {
	for _, c := range number {
		if c != '-' && !isDigit(c) {
			return false
		}
	}
	return len(number) >= longNumber
}

// keepsDigits reports whether f is this whole number, and is written as it. Packages for JSON write a float64 in
// the shortest form that is read as the same float64: 2^63, which it holds, as 9223372036854776000.
func keepsDigits(f float64, whole []byte) bool {
	return strconv.FormatFloat(f, 'f', 0, 64) == string(whole) && strconv.FormatFloat(f, 'f', -1, 64) == string(whole)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits looks for a long run of digits in what is written to it: a number of that length, or a text that
// looks like one.
type digits struct {
	run   int // the digits at the end of what was written
	found bool
}

// Write looks at every 16th byte, which a run of 16 digits cannot miss.
func (d *digits) Write(part []byte) (int, error) {
	first := 0
	for first < len(part) && isDigit(part[first]) {
		first++
	}
	d.run += first
	d.found = d.found || d.run >= longNumber
	if first == len(part) {
		return len(part), nil
	}
	for i := first + longNumber - 1; i < len(part) && !d.found; i += longNumber {
		d.found = runAround(part, i) >= longNumber
	}
	d.run = 0
	for i := len(part) - 1; isDigit(part[i]); i-- { // ends at the byte that is no digit
		d.run++
	}
	return len(part), nil
}

// runAround returns the length of the run of digits that the byte at index i is in.
func runAround(text []byte, i int) int {
	from, to := i, i
	for from > 0 && isDigit(text[from-1]) && isDigit(text[i]) {
		from--
	}
	for to < len(text) && isDigit(text[to]) {
		to++
	}
	return to - from
}
