package coder

import (
	"context"
	"errors"
	"net/http"

	"github.com/agentuity/coder-go/internal/flight"
	"github.com/agentuity/coder-go/internal/quote"
)

// credential is the key of a client whose key rotates.
type credential struct {
	// key asks for the key. With a refused one it is not told what somebody was told who asked before that
	// was known.
	key   func(ctx context.Context, refused string) (string, error)
	known *quote.Keys
}

// newCredential returns a credential, and the Redactor of the keys it has given.
func newCredential(ask func(context.Context) (string, error)) (*credential, quote.Redactor) {
	known := new(quote.Keys)
	var flights flight.Group[string]
	return &credential{known: known, key: func(ctx context.Context, refused string) (string, error) {
		return flights.Do(ctx, refused, ask)
	}}, known.Redactor()
}

// ask returns the key. refused is the one that a Hub has refused, "" if none was.
func (c *credential) ask(ctx context.Context, refused string) (string, error) {
	key, err := c.key(ctx, refused)
	switch {
	case ctx.Err() != nil && err != nil && errors.Is(err, ctx.Err()):
		return "", contextError(ctx, ctx.Err(), nil)
	case err != nil: // of the program: it may quote a key
		c.known.Add(key)
	case key == "":
		err = errors.New("it has returned an empty key")
	case !standsInHeader(key):
		c.known.Add(key)
		err = errors.New("the key " + noHeaderText)
	default:
		c.known.Add(key)
		return key, nil
	}
	return "", &credentialError{err: c.known.Redactor().Error(err), refused: refused != ""}
}

// authorize puts the key into a header. After a refusal it reports whether it is another one.
func (c *credential) authorize(ctx context.Context, h http.Header, refused bool) (changed bool, err error) {
	before := ""
	if refused {
		before = keyIn(h)
	}
	key, err := c.put(ctx, h, before)
	return key != before, err
}

// put asks for the key and puts it into a header.
func (c *credential) put(ctx context.Context, h http.Header, refused string) (string, error) {
	key, err := c.ask(ctx, refused)
	if err != nil {
		return "", err
	}
	delete(h, authorizationHeader)
	delete(h, hubKeyHeader)
	name, value := keyHeader(key)
	h[name] = []string{value}
	return key, nil
}

// keyIn is the key in a header.
func keyIn(h http.Header) string {
	if key := h.Get(hubKeyHeader); key != "" {
		return key
	}
	value := h.Get(authorizationHeader)
	return value[min(len(value), len("Bearer ")):]
}

// credentialError says that the function of WithCredential has failed.
type credentialError struct {
	err     error
	refused bool // it was asked because of a 401
}

func (e *credentialError) Error() string {
	text := "the function of WithCredential failed: " + innerText(e.err)
	if e.refused {
		text += "; asked again, since the Hub had refused the key before"
	}
	return text
}

func (e *credentialError) inner() string { return e.Error() }

func (e *credentialError) Unwrap() error { return e.err }

func (e *credentialError) Is(target error) bool { return target == ErrUnauthorized && e.refused }
