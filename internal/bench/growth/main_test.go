package main

import (
	"strings"
	"testing"
)

func TestDrawn(t *testing.T) {
	panels, err := read([][]string{
		{"thing", "cost of each", "size", "ours", "handwritten", "go"},
		{"calls", "CPU of a call", "1", "2e-6", "4e-6", "go1.27.3"},
		{"calls", "CPU of a call", "1000", "3e-6", "5e-6", "go1.27.3"},
		{"streams", "memory of a stream", "10", "50", "40", "go1.27.3"},
	})
	if err != nil || len(panels) != 2 {
		t.Fatalf("%d panels, %v", len(panels), err)
	}
	if p := panels[0]; p.ours[1].Y != 1.5 || p.handwritten[0].Y != 2 {
		t.Errorf("ours %v, handwritten %v: not over ours at the smallest size", p.ours, p.handwritten)
	}
	picture, err := drawn(panels)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"<svg", "CPU of a call", "1,000", "handwritten", "memory of a stream"} {
		if !strings.Contains(string(picture), text) {
			t.Errorf("%q is missing", text)
		}
	}
	again, err := drawn(panels)
	if err != nil || string(again) != string(picture) {
		t.Errorf("drawn twice it is not the same (%v)", err)
	}
	if _, err := read([][]string{{"thing", "cost of each", "size", "ours", "handwritten", "go"}, {"calls", "CPU", "many", "1", "1", ""}}); err == nil {
		t.Error("a size that is no number")
	}
}
