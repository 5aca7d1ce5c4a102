package wire

import "github.com/go-json-experiment/json/jsontext"

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
// zero value, and one bad member does not cost the others.
func DecodeError(text []byte) ErrorBody {
	var body struct {
		Code    string         `json:"code"`
		Message string         `json:"message"`
		Details map[string]any `json:"details"`
		Error   jsontext.Value `json:"error"`
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
			Message string  `json:"message"`
			Issues  []Issue `json:"issues"`
		}
		if Unmarshal(body.Error, &report) == nil {
			out.Issues = report.Issues
			if out.Message == "" {
				out.Message = report.Message
			}
		}
	}
	return out
}
