//go:build goexperiment.jsonv2 && !go1.27

package coder

// Package encoding/json/v2 of the experiment does not know the tag option embed, and would lose
// what Extra holds.
const _ = GOEXPERIMENT_jsonv2_needs_Go_1_27
