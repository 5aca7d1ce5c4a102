// Mutants tests the tests of packages whose rules matter most: it changes one operator at a time, and expects a test to fail.
// gremlins finds what can be changed, and tries the tests of the package itself, but not where it sees no coverage, as in the
// cases of a switch: there they are tried here. What lives is tried with the tests of the whole library. What lives then must stand in survivors.txt, with the reason why no test can or need tell.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// killer runs the tests of the library against the code with one change.
type killer struct {
	out     io.Writer
	first   string // a regular expression: the tests that are tried before all
	all     bool   // and then all
	own     bool   // no tests but those of the package
	timeout time.Duration
	// ownTimeout is that of the tests of the package: they are quick.
	ownTimeout time.Duration
}

func run(ctx context.Context, args []string, out io.Writer) error {
	k := killer{out: out}
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	flags.StringVar(&k.first, "first", "Test(WaitForSession|RunSession|HubConn_Ask|Client_Answer|Retry|Request|Response|Methods$)", "the tests of the library that are tried before all of them, to be quick")
	flags.DurationVar(&k.timeout, "timeout", 10*time.Minute, "how long they may take, for one change: a test that hangs has told")
	flags.DurationVar(&k.ownTimeout, "own-timeout", time.Minute, "the same for the tests of the package alone")
	flags.BoolVar(&k.all, "all", true, "try all tests of the library in the end; without it more seems to live")
	flags.BoolVar(&k.own, "own", false, "try the tests of the package alone")
	only := flags.String("only", ".", "the changes that are tried with the tests of the library: a regular expression of what is printed of them")
	workers := flags.Int("workers", 2, "how many changes gremlins tries at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	selected, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if flags.NArg() == 0 {
		return errors.New("which packages? For example ./internal/transport")
	}
	named, err := readSurvivors(survivorsText)
	if err != nil {
		return err
	}
	var wrong int
	for _, folder := range flags.Args() {
		folder = filepath.ToSlash(filepath.Clean(folder))
		if err := k.sound(ctx, folder); err != nil {
			return err
		}
		mutants, total, err := find(ctx, folder, *workers)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %d changes, %d not found by gremlins\n", folder, total, len(mutants))
		mutants = slices.DeleteFunc(mutants, func(m mutant) bool { return !selected.MatchString(m.String()) })
		lived, err := k.try(ctx, mutants)
		if err != nil {
			return err
		}
		unknown, stale := named.compare(folder, lived)
		if *only != "." {
			stale = nil // they were not tried
		}
		for _, m := range unknown {
			fmt.Fprintf(out, "LIVES    %s\n", m)
		}
		for _, line := range stale {
			fmt.Fprintf(out, "NO LONGER LIVES, or was changed: %s\n", line)
		}
		wrong += len(unknown) + len(stale)
		fmt.Fprintf(out, "%s: %d changes, %d killed, %d live: %d named with a reason, %d not; %d named that do not live\n",
			folder, total, total-len(lived), len(lived), len(lived)-len(unknown), len(unknown), len(stale))
	}
	if wrong > 0 {
		return fmt.Errorf("%d survivors are not as survivors.txt has them", wrong)
	}
	return nil
}

// mutant is a change of one operator.
type mutant struct {
	file         string
	line, column int
	kind         string
	source       string // the line
	tried        bool   // with the tests of its package
}

// key is what survivors.txt knows a mutant by: line numbers change.
func (m mutant) key() string { return m.file + " | " + m.kind + " | " + m.marked() }

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s | %s", m.file, m.line, m.kind, m.marked())
}

// marked is the line with the operator in brackets.
func (m mutant) marked() string {
	from, _, err := m.change()
	if err != nil {
		return strings.TrimSpace(m.source)
	}
	at := m.column - 1
	return strings.TrimSpace(m.source[:at] + "«" + from + "»" + m.source[at+len(from):])
}

// changes are what gremlins changes, by kind: of operators that begin alike the longer one is first.
var changes = map[string][][2]string{
	"ARITHMETIC_BASE":       {{"+", "-"}, {"-", "+"}, {"*", "/"}, {"/", "*"}, {"%", "*"}},
	"CONDITIONALS_BOUNDARY": {{"<=", "<"}, {">=", ">"}, {"<", "<="}, {">", ">="}},
	"CONDITIONALS_NEGATION": {{"==", "!="}, {"!=", "=="}, {"<=", ">"}, {">=", "<"}, {"<", ">="}, {">", "<="}},
	"INCREMENT_DECREMENT":   {{"++", "--"}, {"--", "++"}},
	"INVERT_ASSIGNMENTS":    {{"+=", "-="}, {"-=", "+="}, {"*=", "/="}, {"/=", "*="}, {"%=", "*="}},
	"INVERT_LOGICAL":        {{"&&", "||"}, {"||", "&&"}},
	"INVERT_LOOPCTRL":       {{"break", "continue"}, {"continue", "break"}},
	"INVERT_NEGATIVES":      {{"-", "+"}},
}

// change is what stands there, and what would then.
func (m mutant) change() (from, to string, err error) {
	if m.column <= len(m.source) {
		rest := m.source[m.column-1:]
		for _, c := range changes[m.kind] {
			if strings.HasPrefix(rest, c[0]) {
				return c[0], c[1], nil
			}
		}
	}
	return "", "", fmt.Errorf("%s:%d:%d: there is nothing for %s", m.file, m.line, m.column, m.kind)
}

// find lets gremlins try the tests of a package, and returns what they did not find.
func find(ctx context.Context, folder string, workers int) (lived []mutant, total int, err error) {
	report, err := os.CreateTemp("", "mutants-*.json")
	if err != nil {
		return nil, 0, err
	}
	_ = report.Close()
	defer func() { _ = os.Remove(report.Name()) }()
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "gremlins", "unleash", "--silent", //nolint:gosec // our own arguments
		"--output", report.Name(), "--workers", fmt.Sprint(workers), "--timeout-coefficient", "20",
		"--invert-logical", "--invert-loopctrl", "--invert-assignments", "./"+folder)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, 0, fmt.Errorf("gremlins: %w\n%s", err, text)
	}
	text, err := os.ReadFile(report.Name())
	if err != nil {
		return nil, 0, err
	}
	var found struct {
		Files []struct {
			Name      string `json:"file_name"`
			Mutations []struct {
				Kind   string `json:"type"`
				Status string `json:"status"`
				Line   int    `json:"line"`
				Column int    `json:"column"`
			} `json:"mutations"`
		} `json:"files"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, 0, fmt.Errorf("the report of gremlins: %w", err)
	}
	for _, file := range found.Files {
		name := filepath.ToSlash(file.Name)
		if !strings.HasPrefix(name, folder+"/") {
			name = filepath.ToSlash(filepath.Join(folder, file.Name))
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, 0, err
		}
		lines := strings.Split(string(text), "\n")
		for _, m := range file.Mutations {
			total++
			if m.Status == "LIVED" || m.Status == "NOT COVERED" {
				lived = append(lived, mutant{name, m.Line, m.Column, m.Kind, lines[m.Line-1], m.Status == "LIVED"})
			}
		}
	}
	slices.SortFunc(lived, func(a, b mutant) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column), cmp.Compare(a.kind, b.kind))
	})
	if total == 0 {
		return nil, 0, fmt.Errorf("gremlins found nothing to change in %s", folder)
	}
	return lived, total, nil
}

// sound fails unless the tests pass as long as nothing is changed: else they would find everything.
func (k *killer) sound(ctx context.Context, folder string) error {
	packages := []string{"./" + folder}
	if !k.own {
		packages = append(packages, ".")
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-vet=off", "-count=1", "-timeout", k.timeout.String()}, packages...)...) //nolint:gosec // our own arguments
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the tests fail without any change: %w\n%s", err, said)
	}
	return nil
}

// try returns those that no test of the library finds either.
func (k *killer) try(ctx context.Context, mutants []mutant) (lived []mutant, err error) {
	for i, m := range mutants {
		began := time.Now()
		killed, err := k.kills(ctx, m)
		if err != nil {
			return nil, err
		}
		verdict := "killed"
		if !killed {
			verdict = "lives "
			lived = append(lived, m)
		}
		fmt.Fprintf(k.out, "%s %3d/%d %3.0f s  %s\n", verdict, i+1, len(mutants), time.Since(began).Seconds(), m)
	}
	return lived, nil
}

// kills tries the tests against one change.
func (k *killer) kills(ctx context.Context, m mutant) (bool, error) {
	from, to, err := m.change()
	if err != nil {
		return false, err
	}
	text, err := os.ReadFile(m.file)
	if err != nil {
		return false, err
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	line := lines[m.line-1]
	at := m.column - 1
	lines[m.line-1] = slices.Concat(line[:at], []byte(to), line[at+len(from):])

	temporary, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(temporary) }()
	changed := filepath.Join(temporary, filepath.Base(m.file))
	if err := os.WriteFile(changed, bytes.Join(lines, nil), 0o600); err != nil {
		return false, err
	}
	original, err := filepath.Abs(m.file)
	if err != nil {
		return false, err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return false, err
	}
	overlayFile := filepath.Join(temporary, "overlay.json")
	if err := os.WriteFile(overlayFile, overlay, 0o600); err != nil {
		return false, err
	}
	own := "./" + path.Dir(m.file)
	for _, tests := range [][2]string{{".", own}, {k.first, "."}, {".", "."}} {
		if tests[1] == own && m.tried || tests[1] == "." && (k.own || tests[0] == "." && !k.all) {
			continue
		}
		timeout := k.timeout
		if tests[1] == own {
			timeout = k.ownTimeout
		}
		cmd := exec.CommandContext(ctx, "go", "test", "-overlay", overlayFile, "-vet=off", "-failfast", "-timeout", timeout.String(), "-run", tests[0], tests[1]) //nolint:gosec // our own arguments
		said, err := cmd.CombinedOutput()
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil && (!bytes.Contains(said, []byte("FAIL")) || bytes.Contains(said, []byte("[setup failed]"))):
			return false, fmt.Errorf("go test: %w\n%s", err, said)
		case bytes.Contains(said, []byte("[build failed]")):
			return true, nil // it is no program
		case err != nil:
			return true, nil
		}
	}
	return false, nil
}
