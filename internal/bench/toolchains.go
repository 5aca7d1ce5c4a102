package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// toolchain is a Go version, and what was built with it.
type toolchain struct {
	version string // as go env GOVERSION has it
	asked   string // for GOTOOLCHAIN
	program string // this program
	dir     string // for all that is built with it
}

// newToolchains builds this program with each of the versions before anything is measured. A version
// that cannot be had is named in missing, and left out; so is one that is there already.
func (r *runner) newToolchains(ctx context.Context, asked []string) (missing []string, err error) {
	for _, asked := range asked {
		version, err := r.output(r.goCommand(ctx, asked, "env", "GOVERSION"))
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: measuring without %s, which cannot be had: %v\n", asked, err)
			missing = append(missing, asked)
			continue
		}
		t := toolchain{version: strings.TrimSpace(string(version)), asked: asked}
		if r.has(t.version) {
			continue
		}
		fmt.Fprintln(os.Stderr, "building with", t.version)
		t.dir = filepath.Join(r.dir, t.version)
		t.program = filepath.Join(t.dir, "bench")
		build := r.goCommand(ctx, asked, "build", "-o", t.dir+string(filepath.Separator), ".", "./cold/ours", "./cold/handwritten")
		if _, err := r.output(build); err != nil {
			return missing, err
		}
		r.toolchains = append(r.toolchains, t)
	}
	if len(r.toolchains) == 0 {
		return missing, fmt.Errorf("none of the Go versions can be had: %s", strings.Join(asked, ", "))
	}
	return missing, nil
}

func (r *runner) has(version string) bool {
	for _, t := range r.toolchains {
		if t.version == version {
			return true
		}
	}
	return false
}

// newest is the one that the goals are about: the last.
func (r *runner) newest() toolchain { return r.toolchains[len(r.toolchains)-1] }
