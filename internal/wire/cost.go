package wire

import (
	"bytes"
	"errors"
)

// ErrOutOfProportion says that a text would take far more memory decoded than it has bytes.
var ErrOutOfProportion = errors.New("it would take too much memory to decode: it is made of too many tiny elements")

// Estimates of what a text costs decoded, in bytes. An object becomes a struct or a map whatever is in it,
// so that lists of "{}" cost hundreds of times their size.
//
// Measured with the worst lists that pass: at most 20 times the size and 64 MB at the peak, with the garbage of
// growing lists.
const (
	costOfObject  = 600
	costOfLarge   = 1100 // where the list is one of structs of more than 300 bytes, and short JSON makes many
	costOfElement = 40
	// A text may cost so many times its size, and so much more. Answers of Hubs reach 13 times.
	mostFactor = 16
	mostBeyond = 32 << 20
)

// Cost adds up what a text costs. The zero Cost is that of nothing.
type Cost struct {
	Large                   bool // the text is a list of large structs, each of which has much JSON in a true answer
	size, objects, elements int
	nulls                   nulls // an object may be made of each
}

// Write adds a part of the text. It never fails.
func (c *Cost) Write(part []byte) (int, error) {
	c.size += len(part)
	c.objects += bytes.Count(part, []byte{'{'})
	c.elements += bytes.Count(part, []byte{','})
	_, _ = c.nulls.Write(part)
	return len(part), nil
}

// Check returns ErrOutOfProportion for a text that must not be decoded.
func (c *Cost) Check() error { return c.CheckOf(c.size) }

// CheckOf is Check for a text of so many bytes, of which only some were written: the others cost nothing but themselves.
func (c *Cost) CheckOf(size int) error {
	object := costOfObject
	if c.Large {
		object = costOfLarge
	}
	if size+object*(c.objects+c.nulls.count)+costOfElement*c.elements > mostFactor*size+mostBeyond {
		return ErrOutOfProportion
	}
	return nil
}

// CheckCost returns ErrOutOfProportion for a text that must not be decoded.
func CheckCost(text []byte) error {
	return new(Cost).Of(text)
}

// Of returns ErrOutOfProportion for a text that must not be decoded.
func (c *Cost) Of(text []byte) error {
	if len(text) < mostBeyond/(costOfLarge+costOfElement) { // whatever it is made of
		return nil
	}
	_, _ = c.Write(text)
	return c.Check()
}
