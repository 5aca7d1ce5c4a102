package main

import (
	"cmp"
	"encoding/base64"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// A kind says where a hidden text is one, and not a word that happens to be the same.
type kind int

const (
	anything kind = iota // between word boundaries
	address              // a host: as anything, and a word only where a host stands
	pathname             // behind a slash
	secret               // anywhere, if it is long enough not to be a part of a word
)

// hidden is a text that must not be printed, in whatever case, and the variable that has it.
type hidden struct {
	text string
	name string
	kind kind
}

// ordinary are words that errors are made of. A value that is one of them is only hidden where it can be nothing else.
var ordinary = strings.Fields(`
	address after again agent already and answer any api are attempt auth authority authentication authorization bad basic bearer before
	body broken but call cannot canceled certificate change check client close closed code coder company connect connected connection
	content context could data deadline default denied deploy dial dialing does down end error event events exceeded exist expected
	expired failed failure false field file find for forbidden found from gateway get handshake has have header headers host hostname
	http https idle internal invalid issued its key label limit line list local localhost long lookup lost malformed message method
	missing name need needed net network none not null off open operation other page password path peer permission pipe plain port
	post prod production proxy proxyconnect read reading reason refused remote request required reset response route run secure self
	server service session sessions signed socket spelling staging status stream such system tcp temporary test text that the this time
	timeout tls token too tunnel type unauthorized unavailable unexpected unknown unreachable unsupported unusable update use used user
	users valid value version wait was web websocket what when whether with within without write writing wrong`)

// routeWords are the paths that this library's own routes begin with.
var routeWords = []string{"api", "hub", "coder", "ws", "api/hub", "api/ws", "hub/session", "hub/sessions"}

// secrets are the values of the environment that could come up in an error, the longest first.
func secrets() []hidden {
	var all []hidden
	hide := func(kind kind, text, name string) {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, hidden{text, name, kind})
		}
	}
	for _, name := range keyVariables {
		for _, word := range append(strings.Fields(os.Getenv(name)), os.Getenv(name)) {
			hide(secret, word, name)
			hide(secret, strings.Trim(word, quotationMarks), name)
		}
	}
	for _, name := range []string{"AGENTUITY_ORGID", "AGENTUITY_CLOUD_ORG_ID", "AGENTUITY_REGION"} {
		hide(anything, os.Getenv(name), name)
	}
	for _, name := range slices.Concat(urlVariables, discoveryVariables, []string{
		"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy",
	}) {
		hideURL(hide, strings.Trim(strings.TrimSpace(os.Getenv(name)), quotationMarks), name)
	}
	for _, name := range []string{"NO_PROXY", "no_proxy"} {
		for host := range strings.SplitSeq(os.Getenv(name), ",") {
			host, _, _ = strings.Cut(strings.TrimSpace(host), "/")
			hide(address, strings.TrimLeft(host, "*."), name)
		}
	}
	slices.SortStableFunc(all, func(a, b hidden) int { return cmp.Compare(len(b.text), len(a.text)) })
	return all
}

// hideURL hides a URL and its parts. Programs take one of a proxy without a scheme, too.
func hideURL(hide func(kind kind, text, name string), value, name string) {
	hide(address, value, name)
	u, err := url.Parse(value)
	if err != nil || u.Host == "" {
		if u, err = url.Parse("http://" + value); err != nil || u.Host == "" {
			return // what has userinfo is hidden in any URL
		}
	}
	hide(address, u.Scheme+"://"+u.Host+strings.TrimRight(u.EscapedPath(), "/"), name)
	hide(address, u.Host, name)
	hide(address, u.Hostname(), name)
	if path := strings.Trim(u.EscapedPath(), "/"); !slices.Contains(routeWords, path) {
		hide(pathname, path, name)
	}
	for _, values := range u.Query() {
		for _, value := range values {
			hide(secret, value, name)
			hide(secret, url.QueryEscape(value), name)
		}
	}
	if u.User == nil {
		return
	}
	user := u.User.Username()
	password, _ := u.User.Password()
	hide(anything, user, name)
	hide(secret, password, name)
	escapedUser, escaped, _ := strings.Cut(u.User.String(), ":")
	hide(anything, escapedUser, name)
	hide(secret, escaped, name)
	hide(secret, base64.StdEncoding.EncodeToString([]byte(user+":"+password)), name)
	info, _, _ := strings.Cut(value[strings.Index(value, "//")+1:], "@") // as it was written
	_, written, _ := strings.Cut(strings.TrimLeft(info, "/"), ":")
	hide(secret, written, name)
}

// quotationMarks are what a value is often put into that is none for the program that reads it.
const quotationMarks = `"'` + "`"

// userinfo is that of any URL.
var userinfo = regexp.MustCompile(`(\w+://)[^/\s"'@]*@`)

// foreign makes a text fit to be printed that others have written: an error, or what a Hub has answered. The values of the
// environment are replaced by the names of their variables. What the doctor itself says has none of them.
func (d *doctor) foreign(text string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		h := d.hiddenAt(text, i)
		if h == nil {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString("$" + h.name)
		i += len(h.text)
	}
	return clean(userinfo.ReplaceAllString(out.String(), "$1***@"))
}

// hiddenAt is what is to be hidden at a place of a text, nil if there is nothing.
func (d *doctor) hiddenAt(text string, i int) *hidden {
	for j := range d.hide {
		h := &d.hide[j]
		end := i + len(h.text)
		if end <= len(text) && strings.EqualFold(text[i:end], h.text) && h.fits(text[:i], text[end:]) {
			return h
		}
	}
	return nil
}

// fits tells whether a text is the hidden one where it stands.
func (h *hidden) fits(before, after string) bool {
	common := len(h.text) <= 3 || slices.Contains(ordinary, strings.ToLower(h.text))
	switch {
	case h.kind == secret && !common && len(h.text) >= 6:
		return true
	case isWord(lastByte(before)) && isWord(h.text[0]), after != "" && isWord(after[0]) && isWord(h.text[len(h.text)-1]):
		return false
	case h.kind == pathname:
		return strings.HasSuffix(before, "/")
	case !common:
		return true
	}
	switch h.kind {
	case address:
		port := len(after) > 1 && after[0] == ':' && '0' <= after[1] && after[1] <= '9'
		return port || endsWithAny(before, "//", "@", "lookup ", "tcp ", "tcp4 ", "tcp6 ", ", not ")
	case secret, anything:
		return strings.HasPrefix(after, "@")
	}
	return false
}

func endsWithAny(text string, ends ...string) bool {
	return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(text, end) })
}

func lastByte(text string) byte {
	if text == "" {
		return ' '
	}
	return text[len(text)-1]
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// clean makes a text of one line, without what could do something to a terminal.
func clean(text string) string { return strings.Join(strings.Fields(transcript.Clean(text)), " ") }
