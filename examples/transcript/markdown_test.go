package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFence(t *testing.T) {
	for text, want := range map[string]string{"": "```", "a ` b": "```", "```": "````", "x\n`````\n```": "``````"} {
		assert.Equal(t, want, fenceFor(text))
	}
}
