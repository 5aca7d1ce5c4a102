package coder

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestVersionIn: a Hub is told the version that a program was built with.
func TestVersionIn(t *testing.T) {
	const path = "github.com/agentuity/coder-go"
	other := &debug.Module{Path: "example.com/other", Version: "v9.9.9"}
	for want, info := range map[string]*debug.BuildInfo{
		"1.2.3":                               {Deps: []*debug.Module{other, {Path: path, Version: "v1.2.3"}}},
		"0.3.1-0.20261129070000-0123456789ab": {Deps: []*debug.Module{{Path: path, Version: "v0.3.1-0.20261129070000-0123456789ab"}}},
		"1.2.4":                               {Deps: []*debug.Module{{Path: path, Version: "v1.2.3", Replace: &debug.Module{Path: "example.com/fork", Version: "v1.2.4"}}}},
	} {
		assert.Equal(t, want, versionIn(info))
	}
	for name, info := range map[string]*debug.BuildInfo{
		"no information":       nil,
		"in this repository":   {Main: debug.Module{Path: path, Version: "(devel)"}},
		"a folder":             {Deps: []*debug.Module{{Path: path, Version: "v1.2.3", Replace: &debug.Module{Path: "../coder-go"}}}},
		"a module of the same": {Deps: []*debug.Module{{Path: path + "/otelcoder", Version: "v1.2.3"}}},
	} {
		assert.Equal(t, Version, versionIn(info), name)
	}
}
