// The program hostile measures how much memory the library needs for answers that are made to take as much as they can. It
// serves them on loopback, reads each in a process of its own, and prints a table of the peaks, or with -write puts it into
// a document. It fails if a peak is beyond its bound. Linux only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

func main() {
	if len(os.Args) == 4 && os.Args[1] == "child" {
		if err := child(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	document := flag.String("write", "", "the document to put the table into; empty: print it")
	chosen := flag.String("select", ".", "regular expression: which ways are measured")
	flag.Parse()
	if err := run(*document, *chosen); err != nil {
		fmt.Fprintln(os.Stderr, "hostile:", err)
		os.Exit(1)
	}
}

// run measures, and prints or writes the table.
func run(document, chosen string) error {
	selected, err := regexp.Compile(chosen)
	switch {
	case err != nil:
		return err
	case document != "" && chosen != ".":
		return errors.New("a document has all ways: -write and -select do not go together")
	}
	server := httptest.NewServer(newServer())
	defer server.Close()
	base, err := measure(server.URL, modest)
	if err != nil {
		return err
	}
	var rows []row
	over := 0
	for _, w := range ways {
		if !selected.MatchString(w.name) {
			continue
		}
		m, err := measure(server.URL, w.name)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		if m.said != w.says {
			return fmt.Errorf("%s: the library says %s, and not %s", w.name, m.said, w.says)
		}
		r := row{way: w, said: m.said, peak: max(0, m.peak-base.peak)}
		if r.isOver() {
			over++
		}
		rows = append(rows, r)
		fmt.Fprintln(os.Stderr, r)
	}
	text := table(rows, base.peak)
	if document == "" {
		fmt.Print(text)
	} else if err := write(document, text); err != nil {
		return err
	}
	if over > 0 {
		return fmt.Errorf("%d of %d ways take more memory than is promised", over, len(rows))
	}
	return nil
}

// measured is what a child has found.
type measured struct {
	peak int64 // bytes
	said string
}

// measure runs a child that meets one way.
func measure(url, name string) (measured, error) {
	program, err := os.Executable()
	if err != nil {
		return measured{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, program, "child", url, name)
	command.Stderr = os.Stderr
	command.Env = []string{"GOTRACEBACK=single"} // what is set for this process is not for its child
	out, err := command.Output()
	if err != nil {
		return measured{}, err
	}
	return parseMeasured(string(out))
}

// parseMeasured reads what a child prints: what the library said, and then its status.
func parseMeasured(out string) (measured, error) {
	said, status, ok := strings.Cut(out, "\n")
	if !ok {
		return measured{}, fmt.Errorf("a child has printed %q", out)
	}
	peak, err := parsePeak(status)
	return measured{peak, said}, err
}
