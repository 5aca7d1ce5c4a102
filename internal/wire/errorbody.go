package wire

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrorBody is the body of an answer other than 2xx.
type ErrorBody struct {
	Code    string
	Message string
	Details map[string]any
	Issues  []Issue
}

// Issue is one finding of the Hub's validator.
type Issue struct {
	Code    string `json:"code"`
	Path    []any  `json:"path"`
	Message string `json:"message"`
	Input   any    `json:"input"`
}

// DecodeError reads what it can of an error body. A body that is not a JSON object gives the
// zero value. One bad member does not cost the others, and of a body that was cut what came first is kept.
func DecodeError(text []byte) ErrorBody {
	var body struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Details map[string]any `json:"details"`
		Error   jsontext.Value `json:"error"`
	}
	if !Valid(text) {
		text = closed(text)
	}
	if len(text) == 0 || Unmarshal(text, &body) != nil {
		return ErrorBody{}
	}
	out := ErrorBody{Code: body.Code, Message: body.Message, Details: body.Details}
	switch body.Error.Kind() {
	case jsontext.KindString:
		var text string
		if Unmarshal(body.Error, &text) == nil && text != "" {
			out.Message = text
		}
	case jsontext.KindBeginObject:
		var report struct {
			Message string           `json:"message"`
			Issues  []jsontext.Value `json:"issues"`
		}
		if Unmarshal(body.Error, &report) == nil {
			for _, raw := range report.Issues {
				var issue Issue
				if raw.Kind() == jsontext.KindBeginObject && Unmarshal(raw, &issue) == nil {
					out.Issues = append(out.Issues, issue)
				}
			}
			if out.Message == "" {
				out.Message = report.Message
			}
		}
	}
	return out
}

// closed returns the longest beginning of text that is JSON once its objects and arrays are closed.
func closed(text []byte) []byte {
	dec := jsontext.NewDecoder(bytes.NewReader(text), Accepted)
	var open []byte // what closes the objects and arrays that are open, the outermost first
	end := int64(0)
	for {
		token, err := dec.ReadToken()
		if err != nil {
			break
		}
		switch token.Kind() {
		case jsontext.KindBeginObject:
			open = append(open, '}')
		case jsontext.KindBeginArray:
			open = append(open, ']')
		case jsontext.KindEndObject, jsontext.KindEndArray:
			open = open[:len(open)-1]
		}
		if kind, length := dec.StackIndex(dec.StackDepth()); kind != jsontext.KindBeginObject || length%2 == 0 {
			end = dec.InputOffset() // not behind a name without its value
		}
		if len(open) == 0 {
			break
		}
	}
	slices.Reverse(open)
	return append(text[:end:end], open...)
}
