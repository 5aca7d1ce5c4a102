package codertest

import "net/http"

// The codes of the Hub's own errors.
const (
	codeSessionNotFound = "CODER_SESSION_NOT_FOUND"
	codeSessionArchived = "CODER_SESSION_ARCHIVED"
	codeSessionConflict = "CODER_SESSION_CONFLICT"
	codeInvalidRequest  = "CODER_INVALID_REQUEST"
)

// problem is a refusal: an error that knows how it travels.
type problem struct {
	status  int
	code    string
	message string
	header  http.Header
}

func (p *problem) Error() string { return p.message }

func (p *problem) answer() answer {
	body := struct {
		Success bool   `json:"success"`
		Code    string `json:"code,omitzero"`
		Message string `json:"message"`
	}{Code: p.code, Message: p.message}
	return answer{status: p.status, header: p.header, body: encode(body)}
}

func invalid(message string) *problem {
	return &problem{status: http.StatusBadRequest, code: codeInvalidRequest, message: message}
}

func notFound(message string) *problem {
	return &problem{status: http.StatusNotFound, message: message}
}

func sessionNotFound() *problem {
	return &problem{status: http.StatusNotFound, code: codeSessionNotFound, message: "No session with this id"}
}

func sessionArchived(message string) *problem {
	return &problem{status: http.StatusGone, code: codeSessionArchived, message: message}
}

func sessionConflict(message string) *problem {
	return &problem{status: http.StatusConflict, code: codeSessionConflict, message: message}
}
