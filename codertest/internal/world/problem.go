package world

// The codes of the Hub's errors.
const (
	codeSessionNotFound = "CODER_SESSION_NOT_FOUND"
	codeSessionArchived = "CODER_SESSION_ARCHIVED"
	codeSessionConflict = "CODER_SESSION_CONFLICT"
	codeInvalidRequest  = "CODER_INVALID_REQUEST"
)

// Problem is the error of a request that the Hub refuses.
type Problem struct {
	// Status is the HTTP status of the answer.
	Status int
	// Code and Message are members of the answer. An empty Code is left out.
	Code, Message string
	// Header holds header fields of the answer, as a http.Header does.
	Header map[string][]string
}

func (p *Problem) Error() string { return p.Message }

func invalid(message string) *Problem {
	return &Problem{Status: 400, Code: codeInvalidRequest, Message: message}
}

func notFound(message string) *Problem { return &Problem{Status: 404, Message: message} }

func slugTaken(slug string) *Problem {
	return &Problem{Status: 409, Message: "The slug " + slug + " is taken"}
}

func sessionNotFound() *Problem {
	return &Problem{Status: 404, Code: codeSessionNotFound, Message: "No session with this id"}
}

func sessionArchived(message string) *Problem {
	return &Problem{Status: 410, Code: codeSessionArchived, Message: message}
}

func sessionConflict(message string) *Problem {
	return &Problem{Status: 409, Code: codeSessionConflict, Message: message}
}
