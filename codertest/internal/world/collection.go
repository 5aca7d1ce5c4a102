package world

import (
	"fmt"
	"iter"
	"slices"
)

// collection keeps records of one kind in the order of their creation.
type collection[T any] struct {
	format  string // of an id
	created int    // ever, so that no id comes twice
	byID    map[string]T
	ids     []string
}

func newCollection[T any](format string) collection[T] {
	return collection[T]{format: format, byID: make(map[string]T)}
}

// add stores the record that build makes for a new id.
func (c *collection[T]) add(build func(id string) T) T {
	c.created++
	id := fmt.Sprintf(c.format, c.created)
	record := build(id)
	c.byID[id] = record
	c.ids = append(c.ids, id)
	return record
}

func (c *collection[T]) remove(id string) {
	delete(c.byID, id)
	c.ids = slices.DeleteFunc(c.ids, func(other string) bool { return other == id })
}

// oldestFirst ranges over the records in the order of their creation.
func (c *collection[T]) oldestFirst() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, id := range c.ids {
			if !yield(c.byID[id]) {
				return
			}
		}
	}
}

// newestFirst ranges over them in the opposite order.
func (c *collection[T]) newestFirst() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, id := range slices.Backward(c.ids) {
			if !yield(c.byID[id]) {
				return
			}
		}
	}
}
