package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// policy is what a page may load and do: scripts, styles and answers of this server, and nothing from anywhere else. Text cannot
// become HTML or script, whatever the script of the page does with it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// maxBody is how much a browser may send at once.
const maxBody = 1 << 20

// bodyTime is how long a browser may take to send it.
const bodyTime = 10 * time.Second

// guard lets in browsers that call this server by its name, and takes orders only from its own pages.
//
// A page of somebody else can make a browser send requests to loopback. It gives itself away by Sec-Fetch-Site or Origin, which
// scripts cannot change. If its own name leads to loopback (DNS rebinding) it counts as the same site, but then its name is in Host.
func guard(next http.Handler, hosts []string) http.Handler {
	origin := http.NewCrossOriginProtection()
	origin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusForbidden, "This order came from a page of another site.")
	}))
	next = origin.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !isCalled(r.Host, hosts):
			refuse(w, http.StatusMisdirectedRequest, "This server is not the one of that name. -host says by which names it may be called.")
		case isForeign(r):
			refuse(w, http.StatusForbidden, "Only the console's own pages may ask for that.")
		default:
			var long *http.MaxBytesError
			switch err := receive(w, r); {
			case errors.As(err, &long):
				refuse(w, http.StatusRequestEntityTooLarge, "That is too long.")
			case err != nil:
				refuse(w, http.StatusBadRequest, "That was not sent whole, or is no form.")
			default:
				next.ServeHTTP(w, r)
			}
		}
	})
}

// receive reads what a browser sends, all of it: what is left would be waited for without a time limit.
func receive(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime)) // not every ResponseWriter can do that
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return err
	}
	_ = control.SetReadDeadline(time.Time{}) // it would end a stream of events
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r.ParseForm()
}

// isCalled reports whether a Host is this server. The port does not matter: whose page it is depends on the name.
func isCalled(host string, hosts []string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	return isLoopback(name) || slices.Contains(hosts, name)
}

// isLoopback reports whether a name leads to this machine and nowhere else.
func isLoopback(name string) bool {
	ip := net.ParseIP(name)
	return name == "localhost" || ip != nil && ip.IsLoopback()
}

// isForeign reports whether a page of another site asks for something. It may have a link to the console.
func isForeign(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none": // "": no browser, or an old one
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Method != http.MethodGet
}

// refuse answers in plain text.
func refuse(w http.ResponseWriter, status int, text string) {
	http.Error(w, text, status)
}
