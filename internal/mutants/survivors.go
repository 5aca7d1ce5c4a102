package main

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed survivors.txt
var survivorsText string

// survivors are the changes that may live, and how often each: several on lines that are alike look the same.
type survivors struct {
	reasons map[string]string
	keys    []string // in order
}

// readSurvivors reads lines of: file | kind | line with the operator in «» | reason. Empty lines and those with # say nothing.
func readSurvivors(text string) (survivors, error) {
	s := survivors{reasons: make(map[string]string)}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end := strings.LastIndex(line, " | ")
		if end < 0 || strings.Count(line[:end], " | ") < 2 || strings.TrimSpace(line[end+3:]) == "" {
			return s, fmt.Errorf("survivors.txt:%d: want: file | kind | line with the operator in «» | reason", i+1)
		}
		key := line[:end]
		if s.reasons[key] != "" {
			return s, fmt.Errorf("survivors.txt:%d: %s is there twice", i+1, key)
		}
		s.reasons[key] = line[end+3:]
		s.keys = append(s.keys, key)
	}
	return s, nil
}

// compare returns the changes that live without being named, and those in the same package that are named and do not.
func (s survivors) compare(path string, lived []mutant) (unknown []mutant, stale []string) {
	seen := make(map[string]bool)
	for _, m := range lived {
		seen[m.key()] = true
		if s.reasons[m.key()] == "" {
			unknown = append(unknown, m)
		}
	}
	for _, key := range s.keys {
		if strings.HasPrefix(key, path+"/") && !seen[key] {
			stale = append(stale, key)
		}
	}
	return unknown, stale
}
