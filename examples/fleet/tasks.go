package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agentuity/coder-go"
)

// task is a line of the file.
type task struct {
	line    int
	key     string // idempotency key of its session
	request coder.CreateSessionRequest
}

// title is what people call the task.
func (t *task) title() string {
	if t.request.Label != "" {
		return t.request.Label
	}
	return t.request.Task
}

// readTasks reads all tasks of a file. An error begins with the name of the file and the line.
func readTasks(in io.Reader, file, run string) ([]*task, error) {
	var tasks []*task
	lines := make(map[string]int) // by key
	reader := bufio.NewReader(in)
	for number := 1; ; number++ {
		text, err := reader.ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		last := err != nil
		if number == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // editors put this mark before the first line
		}
		if text = strings.TrimSpace(text); text != "" {
			t, err := parseTask(text, run)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, number, err)
			}
			if first, twice := lines[t.key]; twice {
				return nil, fmt.Errorf("%s:%d: the key %q is that of line %d too; give each of them a \"key\" of its own", file, number, t.key, first)
			}
			t.line, lines[t.key] = number, number
			tasks = append(tasks, t)
		}
		if last {
			break
		}
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("%s:1: there is no task in it", file)
	}
	return tasks, nil
}

// parseTask reads a line: JSON if it begins with a brace, else the text of a task.
func parseTask(text, run string) (*task, error) {
	if !utf8.ValidString(text) {
		return nil, errors.New("it is not UTF-8")
	}
	t := &task{request: coder.CreateSessionRequest{Task: text}}
	var key string
	if text[0] == '{' {
		var err error
		if t.request, key, err = parseRequest([]byte(text)); err != nil {
			return nil, err
		}
	}
	if key == "" {
		sum := sha256.Sum256([]byte(t.request.Task))
		key = hex.EncodeToString(sum[:8])
	}
	t.key = run + "-" + key
	return t, nil
}

// parseRequest reads what creates a session, and a key beside it. The client would send what it does not know, and leave out
// what has a wrong type, as it must with what a Hub says. In a file of tasks both are mistakes.
func parseRequest(text []byte) (request coder.CreateSessionRequest, key string, err error) {
	if err := json.Unmarshal(text, new(any)); err != nil {
		return request, "", fmt.Errorf("it begins as JSON, and is none: %w", err)
	}
	var typed *json.UnmarshalTypeError
	switch err := json.Unmarshal(text, &request); { // Go 1.27 says what has a wrong type, Go 1.26 leaves it out
	case errors.As(err, &typed):
		return request, "", wrongForm(typed.Field)
	case err != nil:
		return request, "", err
	}
	if raw, given := request.Extra["key"]; given {
		if json.Unmarshal(raw, &key) != nil || !isKey(key) {
			return request, "", errors.New("key: must be a text of 1 to 100 visible characters, without blanks")
		}
		delete(request.Extra, "key")
	}
	for _, name := range slices.Sorted(maps.Keys(request.Extra)) {
		return request, "", fmt.Errorf("%q: a session has no such member", name)
	}
	if name := misread(text, &request); name != "" {
		return request, "", wrongForm(name)
	}
	if strings.TrimSpace(request.Task) == "" {
		return request, "", errors.New("task: must be a text that is not blank")
	}
	if _, given := request.Metadata["idempotencyKey"]; given { // RunSession puts the key there
		return request, "", errors.New(`metadata: must not have an "idempotencyKey"; the key of a task is its "key"`)
	}
	for i, file := range request.Files {
		if strings.TrimSpace(file.Path) == "" {
			return request, "", fmt.Errorf("files[%d].path: must not be empty", i)
		}
	}
	return request, key, nil
}

func wrongForm(name string) error {
	return fmt.Errorf("%q: the value has a wrong form, or the name another letter case", name)
}

func isKey(key string) bool {
	return key != "" && utf8.RuneCountInString(key) <= 100 && !strings.ContainsFunc(key, func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsGraphic(r)
	})
}

// misread names a member that does not come out as it went in.
func misread(text []byte, request *coder.CreateSessionRequest) string {
	var before, after map[string]any
	written, err := json.Marshal(request)
	if err != nil {
		return err.Error()
	}
	if err := errors.Join(decodeExactly(text, &before), decodeExactly(written, &after)); err != nil {
		return err.Error()
	}
	delete(before, "key")
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if value := before[name]; !isZero(value) && !reflect.DeepEqual(value, after[name]) {
			return name
		}
	}
	return ""
}

// isZero reports whether a member may be left out.
func isZero(value any) bool {
	return value == nil || value == "" || value == false
}

func decodeExactly(text []byte, out any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return decoder.Decode(out)
}
