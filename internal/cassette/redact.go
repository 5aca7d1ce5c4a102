package cassette

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"
)

// Mask stands in the place of what was taken out.
const Mask = "[removed]"

// Redaction is what is taken out before anything is written. The rules are the documentation of
// coder.NewRecorder: whoever changes one changes the other.
type Redaction struct {
	// Keys takes the keys of clients out of a text. nil: there are none.
	Keys func(string) string
	// OmitTexts takes the texts of sessions out.
	OmitTexts bool
}

// Text returns a text without what is secret in it.
func (r *Redaction) Text(s string) string {
	if strings.Contains(s, "://") { // before keys: what stands in their place has a blank, which ends a URL
		s = urls.ReplaceAllStringFunc(s, r.url)
	}
	s = r.known(s)
	for _, p := range patterns {
		if strings.Contains(s, p.maybe) {
			s = p.shape.ReplaceAllString(s, p.becomes)
		}
	}
	return s
}

func (r *Redaction) known(s string) string {
	if r.Keys == nil {
		return s
	}
	return r.Keys(s)
}

var urls = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>\\` + "`" + `]+`)

// patterns are credentials that are known by their shape.
var patterns = []struct {
	maybe   string
	shape   *regexp.Regexp
	becomes string
}{
	{"agc_", regexp.MustCompile(`\bagc_[A-Za-z0-9_-]{8,}`), Mask},
	{" ", regexp.MustCompile(`(?i)\b(Bearer|Basic) +[A-Za-z0-9+/_.~-]{8,}=*`), "$1 " + Mask},
	{"gh", regexp.MustCompile(`\bgh[opsur]_[A-Za-z0-9]{16,}`), Mask},
	{"github_pat_", regexp.MustCompile(`\bgithub_pat_[A-Za-z0-9_]{16,}`), Mask},
	{"glpat-", regexp.MustCompile(`\bglpat-[A-Za-z0-9_-]{16,}`), Mask},
	{"sk", regexp.MustCompile(`\bsk[-_][A-Za-z0-9_-]{16,}`), Mask},
	{"xox", regexp.MustCompile(`\bxox[abeoprs]-[A-Za-z0-9-]{10,}`), Mask},
	{"AKIA", regexp.MustCompile(`\bAKIA[A-Z0-9]{16}\b`), Mask},
	{"eyJ", regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), Mask},
	{"PRIVATE KEY-----", regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`), Mask},
}

// URL returns a URL without user info, and without the values of parameters that are secret.
func (r *Redaction) URL(s string) string { return r.Text(s) }

// url is URL without keys and patterns, on which the caller looks.
func (r *Redaction) url(s string) string {
	scheme, rest, _ := strings.Cut(s, "://")
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		end = i
	}
	host, rest := rest[:end], rest[end:]
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = Mask + host[i:]
	}
	path, query, asked := strings.Cut(rest, "?")
	if !asked {
		return scheme + "://" + host + path
	}
	query, fragment, marked := strings.Cut(query, "#")
	query = r.Query(query)
	if marked {
		query += "#" + fragment
	}
	return scheme + "://" + host + path + "?" + query
}

// Query returns a query without the values of parameters that are secret.
func (r *Redaction) Query(query string) string {
	parameters := strings.Split(query, "&")
	for i, parameter := range parameters {
		name, value, _ := strings.Cut(parameter, "=")
		decoded, err := url.QueryUnescape(name)
		switch {
		case value == "":
		case err != nil, IsCredential(decoded), secretParameters[plainName(decoded)]:
			parameters[i] = name + "=" + url.QueryEscape(Mask)
		case r.OmitTexts && textParameters[plainName(decoded)]:
			text, _ := url.QueryUnescape(value)
			parameters[i] = name + "=" + url.QueryEscape(crossed(text))
		}
	}
	return strings.Join(parameters, "&")
}

var (
	// secretParameters of URLs are secret besides those that are secret as members.
	secretParameters = map[string]bool{
		"key": true, "sig": true, "auth": true, "code": true, "xamzcredential": true, "ticket": true,
	}
	textParameters = map[string]bool{"task": true, "label": true, "search": true, "query": true, "q": true}
)

// Header returns a header with the values of only those fields that are known to hold nothing secret.
func (r *Redaction) Header(h http.Header) http.Header {
	safe := make(http.Header, len(h))
	for name, values := range h {
		name = r.Text(name)
		if !safeFields[name] && !strings.HasPrefix(name, "X-Ratelimit-") && !strings.HasPrefix(name, "Ratelimit") {
			safe[name] = []string{Mask}
			continue
		}
		for _, value := range values {
			if name == "Location" {
				value = r.Text(withoutQuery(value))
			}
			safe[name] = append(safe[name], r.Text(value))
		}
	}
	return safe
}

// safeFields are the fields whose values are kept.
var safeFields = fields("Accept", "Accept-Encoding", "Age", "Allow", "Cache-Control", "Cf-Ray", "Connection", "Content-Encoding",
	"Content-Length", "Content-Type", "Date", "Last-Event-Id", "Location", "Retry-After", "Sec-Websocket-Version", "Server",
	"Transfer-Encoding", "Upgrade", "User-Agent", "Vary", "Via", "X-Accel-Buffering", "X-Agentuity-Orgid", "X-Agentuity-Region",
	"X-Cache", "X-Request-Id", "X-Session-Id")

func fields(names ...string) map[string]bool {
	all := make(map[string]bool, len(names))
	for _, name := range names {
		all[http.CanonicalHeaderKey(name)] = true
	}
	return all
}

func withoutQuery(u string) string {
	u, _, _ = strings.Cut(u, "?")
	return u
}

// Body returns a body as it is written. omitted is how many bytes of it are not in data.
func (r *Redaction) Body(data []byte, omitted int64) Body {
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') {
		text, read, whole := r.json(data)
		if whole && omitted == 0 {
			return Body{JSON: text}
		}
		// Of JSON that is broken nobody can tell what the rest is.
		return Body{Text: string(text), Omitted: omitted + int64(len(data)-read), Broken: omitted == 0}
	}
	return r.other(data, omitted)
}

// other is Body for what is no JSON.
func (r *Redaction) other(data []byte, omitted int64) Body {
	if len(data) == 0 {
		return Body{Omitted: omitted}
	}
	b := plain([]byte(r.cross("text", r.Text(string(data)))))
	b.Omitted = omitted
	return b
}

// Event returns one event of a stream of events as it is written.
func (r *Redaction) Event(block []byte, omitted int64) Body {
	var kept strings.Builder
	var data []string
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(block))
	for line := range strings.Lines(text) {
		value, isData := strings.CutPrefix(strings.TrimRight(line, "\n"), "data:")
		if !isData {
			if line == "\n" {
				break
			}
			kept.WriteString(r.Text(line))
			continue
		}
		data = append(data, strings.TrimPrefix(value, " "))
	}
	end := ""
	switch {
	case strings.HasSuffix(text, "\n\n"):
		end = "\n\n"
	case strings.HasSuffix(text, "\n"):
		end = "\n"
	}
	if data == nil {
		text = strings.TrimRight(kept.String(), "\n")
		if text == "" && end != "" {
			end = "\n"
		}
		return Body{Text: text + end, Omitted: omitted}
	}
	body := r.Body([]byte(strings.Join(data, "\n")), omitted)
	kept.WriteString("data: ")
	kept.WriteString(strings.ReplaceAll(string(body.Bytes()), "\n", "\ndata: "))
	if body.Omitted == 0 {
		kept.WriteString(end)
	}
	return Body{Text: kept.String(), Omitted: body.Omitted, Broken: body.Broken}
}

// mode is what is done to the values of a member and all below it.
type mode int

const (
	keep        mode = iota
	secret           // texts and numbers are taken out
	environment      // of an object or list the values; names stay
	connection       // URLs of which only the host may be known
	free             // of the session's, or of a tool's: no name in it says that a text is none
)

// json returns JSON without what is secret, how much of data was read, and whether that was all, and one value.
func (r *Redaction) json(data []byte) (out []byte, read int, whole bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	out = make([]byte, 0, len(data))
	stack := []level{{}}
	values := 0 // at the top
	for {
		token, err := dec.ReadToken()
		if err != nil {
			whole = errors.Is(err, io.EOF) && len(stack) == 1 && values == 1
			return out, int(dec.InputOffset()), whole
		}
		top := &stack[len(stack)-1]
		kind := token.Kind()
		if kind != '}' && kind != ']' {
			out = top.separate(out)
		}
		switch isName := top.named; {
		case kind == '{' || kind == '[':
			out = append(out, byte(kind))
			stack = append(stack, level{mode: top.mode, above: top.mode, name: top.name, object: kind == '{'})
		case kind == '}' || kind == ']':
			out = append(out, byte(kind))
			stack = stack[:len(stack)-1]
		case kind == '"' && top.object && isName:
			top.name = token.String()
			top.mode = modeOf(top.name, top.above)
			out = quoted(out, r.Text(top.name))
		case kind == '"':
			out = quoted(out, r.value(token.String(), top.name, top.mode))
		case kind == '0':
			out = append(out, r.number(token.String(), top.name, top.mode)...)
		default:
			out = append(out, token.String()...)
		}
		if len(stack) == 1 {
			values++
		}
	}
}

// level is an object or list that has begun.
type level struct {
	object bool
	count  int  // texts and values so far
	named  bool // the last of them is a name
	name   string
	mode   mode // of the member
	above  mode // of the object
}

// separate appends what stands before the next name or value.
func (l *level) separate(out []byte) []byte {
	switch {
	case l.object && l.named:
		out = append(out, ':')
	case l.count > 0:
		out = append(out, ',')
	}
	l.named = l.object && !l.named
	l.count++
	return out
}

func quoted(out []byte, s string) []byte {
	out, _ = jsontext.AppendQuote(out, s) // of half characters it makes whole ones, and says so
	return out
}

// value returns what stands in the place of a text.
func (r *Redaction) value(s, name string, m mode) string {
	switch {
	case s == "":
		return s
	case m == secret:
		return Mask
	case m == environment:
		if variable, _, found := strings.Cut(s, "="); found {
			return r.Text(variable) + "=" + Mask
		}
		return Mask
	case m == connection:
		return hostOnly(s)
	case m == free:
		name = ""
	}
	if s[0] == '{' || s[0] == '[' { // JSON in a text, as arguments of tools are
		if inner, _, whole := r.json([]byte(s)); whole {
			if !bytes.Equal(inner, compacted(s)) {
				return r.cross(name, string(inner))
			}
			return r.cross(name, s)
		}
	}
	return r.cross(name, r.Text(s))
}

func compacted(s string) []byte {
	v := jsontext.Value(s)
	_ = v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return v
}

// number returns what stands in the place of a number.
func (r *Redaction) number(text, name string, m mode) string {
	switch {
	case m == secret && !strings.HasSuffix(plainName(name), "token"), m == environment:
		return "0"
	case r.known(text) != text:
		return string(quoted(nil, r.known(text)))
	}
	return text
}

// hostOnly leaves of a URL what is no secret.
func hostOnly(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return Mask
	}
	return u.Scheme + "://" + u.Host + "/" + Mask
}

// cross takes a text out, if that is wanted and it is one of a session.
func (r *Redaction) cross(name, s string) string {
	if !r.OmitTexts || isStructural(name) {
		return s
	}
	return crossed(s)
}

// crossed puts an x in the place of each character but blanks. Pieces of a text that are crossed still make up the
// crossed text.
func crossed(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsSpace(c) {
			return c
		}
		return 'x'
	}, s)
}

// plainName is a name without what people write it with: accessToken, access_token, ACCESS-TOKEN.
func plainName(name string) string {
	return strings.Map(func(c rune) rune {
		switch c {
		case '_', '-', '.', ' ', '$':
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// credentialEnds are the ends of names whose values are credentials.
var credentialEnds = []string{
	"token", "secret", "secrets", "password", "passwd", "passphrase", "apikey", "accesskey", "accesskeyid", "secretkey",
	"privatekey", "sshkey", "authkey", "signingkey", "encryptionkey", "credential", "credentials", "authorization", "cookie", "cookies",
	"signature", "jwt", "reconnectstate",
}

// connectionNames are what the URLs are for that let whoever has them in.
var connectionNames = []string{
	"stream", "sandbox", "connect", "connection", "attach", "ws", "websocket", "socket", "signed", "presigned", "upload",
	"download", "runtime", "preview", "terminal", "tunnel", "driver", "session", "share", "invite",
}

// IsCredential reports whether a member, or a parameter, of this name holds a credential.
func IsCredential(name string) bool {
	return isCredential(plainName(name))
}

func isCredential(plain string) bool {
	return slices.ContainsFunc(credentialEnds, func(end string) bool { return strings.HasSuffix(plain, end) })
}

// modeOf is the mode of a member in an object of the mode above.
func modeOf(name string, above mode) mode {
	if above == secret || above == environment {
		return above
	}
	name = plainName(name)
	if isCredential(name) {
		return secret
	}
	switch name {
	case "env", "environ", "environment", "envvars", "environmentvariables", "envs", "dotenv":
		return environment
	case "args", "arguments", "toolargs", "input", "metadata", "details", "params":
		return free
	}
	if purpose, isURL := strings.CutSuffix(name, "url"); isURL && slices.ContainsFunc(connectionNames, func(known string) bool {
		return strings.HasSuffix(purpose, known)
	}) {
		return connection
	}
	if above == free {
		return free
	}
	return keep
}

// structuralNames, and names with structuralEnds, have values that are no texts of sessions: they say what something
// is, who, when and where.
var (
	structuralNames = strings.Fields(`action agent api behavior bucket category code command commandId controller customType
		entriesSource event id ids kind level method mode model origin patterns phase provider role sequence severity
		sessionKind source state status stopReason streamingBehavior subscribe timestamp toolName transport type
		url version visibility workflowMode`)
	structuralEnds = strings.Fields("Id ID Ids IDs At Type Kind Status Role Mode State Source Version Url URL")
)

func isStructural(name string) bool {
	return slices.Contains(structuralNames, name) ||
		slices.ContainsFunc(structuralEnds, func(end string) bool { return strings.HasSuffix(name, end) })
}
