// Package cassette knows the file in which a recording is kept: what goes into it, what must not, how it is
// written while a program runs, and how it is read.
//
// A cassette is JSON, a line each. The first line is a [Header], each of the others a [Line]: one thing that has
// happened, in order. What is secret is taken out before a line is written: see [Redaction].
package cassette

import (
	"encoding/json"
	"net/http"
	"time"
	"unicode/utf8"
)

// Format is the version of the format that is written, and the only one that is read.
const Format = 1

// Header is the first line.
type Header struct {
	Format  int       `json:"cassette"`
	Library string    `json:"library"` // that wrote it, with its version
	Began   time.Time `json:"began"`
	// OmitTexts says that texts of sessions were taken out.
	OmitTexts bool `json:"omitTexts,omitzero"`
}

// Kind is what a line tells of.
type Kind string

// The kinds there are. Each exchange has a request first and an end last, if it has ended.
const (
	Request  Kind = "request"  // the program asks: Method, URL, Header, Body
	Answer   Kind = "answer"   // the header of the answer has come: Status, Header
	Piece    Kind = "body"     // a body, or one event of a stream of events: Body
	Sent     Kind = "sent"     // a message over a WebSocket, of the program
	Received Kind = "received" // a message over a WebSocket, of the Hub
	Close    Kind = "close"    // a close frame: By, Code, Reason
	End      Kind = "end"      // nothing more comes: How, Error
)

// How an exchange has ended.
const (
	Whole       = "whole"        // all of the answer has come
	Left        = "left"         // the program has not waited for more
	Cut         = "cut"          // the connection broke after the header of the answer
	Reset       = "reset"        // the connection broke before it
	Unsent      = "unsent"       // never sent: the connection broke before anything of the body was written
	Refused     = "refused"      // never sent: no connection came about
	UnknownHost = "unknown host" // never sent: the name of the host does not exist
	Untrusted   = "untrusted"    // never sent: the certificate, or the protocol on the port
)

var endings = []string{Whole, Left, Cut, Reset, Unsent, Refused, UnknownHost, Untrusted}

// The two sides, as in By.
const (
	ByProgram = "program"
	ByHub     = "hub"
)

// Line is one thing that has happened.
type Line struct {
	Number   int         `json:"-"` // of the line in the file, when it was read
	Offset   int64       `json:"t"` // in milliseconds since the recording began
	Exchange int         `json:"n"` // a request and all that belongs to it have one number
	Kind     Kind        `json:"is"`
	Method   string      `json:"method,omitzero"`
	URL      string      `json:"url,omitzero"`
	Status   int         `json:"status,omitzero"`
	Header   http.Header `json:"header,omitempty"`
	Body
	By     string `json:"by,omitzero"`
	Code   int    `json:"code,omitzero"`
	Reason string `json:"reason,omitzero"`
	How    string `json:"how,omitzero"`
	Error  string `json:"error,omitzero"` // for people: what package net/http said
}

// Body is a body, or a message. One of the first three is set, or none if there is nothing.
type Body struct {
	JSON   json.RawMessage `json:"json,omitempty"`
	Text   string          `json:"text,omitzero"`
	Base64 []byte          `json:"base64,omitempty"`
	// Omitted is how many bytes were left out at the end: there were too many, or, with Broken, what stands here is the
	// beginning of something that looked like JSON, and is none from there on.
	Omitted int64 `json:"omitted,omitzero"`
	Broken  bool  `json:"broken,omitzero"`
}

// Bytes is what was sent, but for what was taken out.
func (b *Body) Bytes() []byte {
	switch {
	case b.JSON != nil:
		return b.JSON
	case b.Base64 != nil:
		return b.Base64
	default:
		return []byte(b.Text)
	}
}

// plain is a body that is no JSON.
func plain(data []byte) Body {
	if utf8.Valid(data) {
		return Body{Text: string(data)}
	}
	return Body{Base64: data}
}
