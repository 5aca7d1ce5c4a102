package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	forgeTimeout = 30 * time.Second // of one request
	mostAnswer   = 32 << 20         // bytes that are read of its answer
	mostPages    = 100
)

// forge is where the comments are: GitHub, or what has the same routes.
type forge struct {
	base  string // without a slash at its end
	token string
	http  *http.Client
}

// newForge returns the forge with this base URL. It follows redirects, which a repository has that was renamed, only where the
// request stays what it is: a POST that becomes a GET would write nothing and seem to succeed, and the token is for one host.
func newForge(base, token string, transport http.RoundTripper) *forge {
	return &forge{base: base, token: token, http: &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, before []*http.Request) error {
		first := before[0]
		if len(before) > 5 || next.Method != first.Method || next.URL.Scheme != first.URL.Scheme || next.URL.Host != first.URL.Host {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

// checkForge checks the base URL of an API, to which the token will be sent.
func checkForge(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("must be an address such as https://api.github.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("must have no user, no query and no fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", errors.New("must begin with https://, since it is sent a token")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// forgeError is a request that the forge did not do as it was asked.
type forgeError struct {
	status     int           // 0: there was no answer
	retryAfter time.Duration // that the forge asks for, 0: it does not
	limited    bool          // there were too many requests
	err        error         // without an answer
}

func (e *forgeError) Error() string {
	switch {
	case e.status == 0:
		return fmt.Sprintf("the forge did not answer: %v", e.err)
	case e.err != nil:
		return fmt.Sprintf("the forge answered %d, and %v", e.status, e.err)
	}
	text := fmt.Sprintf("the forge answered %d %s", e.status, http.StatusText(e.status))
	switch {
	case e.limited:
		return text + ": too many requests"
	case e.status == http.StatusUnauthorized:
		return text + ": WEBHOOK_TOKEN is not valid there"
	case e.status == http.StatusForbidden:
		return text + ": WEBHOOK_TOKEN may not comment there"
	case e.status == http.StatusNotFound:
		return text + ": there is no such issue, or WEBHOOK_TOKEN may not see it"
	}
	return text
}

func (e *forgeError) Unwrap() error { return e.err }

// transient reports whether the same request may succeed later.
func (e *forgeError) transient() bool {
	return e.status < 300 || e.status >= 500 || e.limited || e.status == http.StatusRequestTimeout
}

// find reports whether there is a comment with this marker, written since a time. An earlier attempt may have made it and not
// learned of it.
func (f *forge) find(ctx context.Context, repository string, number int64, since time.Time, marker string) (bool, error) {
	query := url.Values{"per_page": {"50"}} // strangers, too, write comments, and all of a page must be below mostAnswer
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339))
	}
	last := int64(0)
	for page := 1; page <= mostPages; page++ {
		query.Set("page", strconv.Itoa(page))
		var comments []struct {
			ID   int64  `json:"id"`
			Body string `json:"body"`
		}
		if err := f.do(ctx, http.MethodGet, commentsPath(repository, number)+"?"+query.Encode(), nil, &comments); err != nil {
			return false, err
		}
		for _, c := range comments {
			if strings.HasPrefix(c.Body, marker) { // in the middle it is a quotation
				return true, nil
			}
		}
		// Some forges have shorter pages than they are asked for, and some have no pages and say everything each time.
		if len(comments) == 0 || comments[len(comments)-1].ID == last {
			break
		}
		last = comments[len(comments)-1].ID
	}
	return false, nil
}

// comment writes a comment. It is not ended halfway: whoever starts next might look for the comment before it is there.
func (f *forge) comment(ctx context.Context, repository string, number int64, body string) error {
	err := f.do(context.WithoutCancel(ctx), http.MethodPost, commentsPath(repository, number), map[string]string{"body": body}, nil)
	var failed *forgeError
	if errors.As(err, &failed) && (failed.status == 0 || failed.status >= 500) {
		failed.retryAfter = max(failed.retryAfter, settles) // for the same reason: it may still be writing it
	}
	return err
}

// commentsPath is the route of the comments of an issue. The name of the repository was checked when it came.
func commentsPath(repository string, number int64) string {
	return fmt.Sprintf("/repos/%s/issues/%d/comments", repository, number)
}

// do makes one request. Its errors are all of the type forgeError.
func (f *forge) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, forgeTimeout)
	defer cancel()
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return &forgeError{err: err}
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, body)
	if err != nil {
		return &forgeError{err: err}
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("User-Agent", "coder-go-webhook")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := f.http.Do(req)
	if err != nil {
		return &forgeError{err: err}
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refusal(resp)
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(out); err != nil {
		return &forgeError{status: resp.StatusCode, err: fmt.Errorf("its answer cannot be read: %w", err)}
	}
	return nil
}

// refusal is the error of an answer that is no success. GitHub says with 403, too, that there were too many requests, and
// sometimes only in the text.
func refusal(resp *http.Response) *forgeError {
	e := &forgeError{status: resp.StatusCode}
	header := resp.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(header); err == nil && seconds > 0 {
		e.retryAfter = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		e.retryAfter = max(time.Until(at), 0)
	}
	if e.status != http.StatusForbidden && e.status != http.StatusTooManyRequests {
		return e
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what cannot be read says nothing
	spent := resp.Header.Get("X-RateLimit-Remaining") == "0"
	e.limited = e.status == http.StatusTooManyRequests || header != "" || spent || strings.Contains(strings.ToLower(string(text)), "rate limit")
	if reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && spent && e.retryAfter == 0 {
		e.retryAfter = max(time.Until(time.Unix(reset, 0)), 0)
	}
	if e.limited && e.retryAfter == 0 {
		e.retryAfter = time.Minute // as GitHub wants it
	}
	return e
}
