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
	if strings.Contains(s, "=") {
		s = parameters.ReplaceAllStringFunc(s, r.parameter)
	}
	if strings.Contains(s, `":`) || strings.Contains(s, `" :`) {
		s = members.ReplaceAllStringFunc(s, member)
	}
	return s
}

// parameters are those of URLs without a host, of forms, and in texts.
var parameters = regexp.MustCompile(`(?:^|[?&;#\s]|&amp;|\\u0026)[A-Za-z0-9_.-]{1,64}=[^&;#\s"'<>\\]+`)

func (r *Redaction) parameter(s string) string {
	before, value, _ := strings.Cut(s, "=")
	name := before[strings.LastIndexAny(before, "?&;# \t\r\n")+1:]
	name = strings.TrimPrefix(name, `\u0026`)
	asked := len(name) < len(before) && strings.ContainsAny(before, "?&;#\\")
	if value != Mask && value != url.QueryEscape(Mask) && (IsCredential(name) || asked && secretParameters[plainName(name)]) {
		return before + "=" + url.QueryEscape(Mask)
	}
	return s
}

// members are those of JSON that stands in a text, or of a piece of it.
var members = regexp.MustCompile(`"[A-Za-z0-9_.$ -]{1,64}\\*"\s*:\s*\\*"[^"]*`)

func member(s string) string {
	name, rest, _ := strings.Cut(s[1:], `"`)
	colon, value, _ := strings.Cut(rest, `"`)
	if !IsCredential(strings.TrimRight(name, `\`)) || value == "" {
		return s
	}
	escapes := value[len(strings.TrimRight(value, `\`)):] // of the quote behind it
	return `"` + name + `"` + colon + `"` + Mask + escapes
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
	{"agc_", regexp.MustCompile(`agc_[A-Za-z0-9_-]{8,}`), Mask},
	{" ", regexp.MustCompile(`(?i)(Bearer|Basic) +[A-Za-z0-9+/_.~-]{8,}=*`), "$1 " + Mask},
	{"%20", regexp.MustCompile(`(?i)(Bearer|Basic)%20[A-Za-z0-9+/_.~%-]{8,}=*`), "$1%20" + url.QueryEscape(Mask)},
	{"+", regexp.MustCompile(`(?i)(Bearer|Basic)\+[A-Za-z0-9/_.~%-]{8,}=*`), "$1+" + url.QueryEscape(Mask)},
	{"gh", regexp.MustCompile(`gh[opsur]_[A-Za-z0-9]{16,}`), Mask},
	{"github_pat_", regexp.MustCompile(`github_pat_[A-Za-z0-9_]{16,}`), Mask},
	{"glpat-", regexp.MustCompile(`glpat-[A-Za-z0-9_-]{16,}`), Mask},
	{"sk", regexp.MustCompile(`(^|[^A-Za-z0-9]|\\[nrt]|%[0-9A-Fa-f]{2})sk[-_][A-Za-z0-9_-]{16,}`), "$1" + Mask},
	{"xox", regexp.MustCompile(`xox[abeoprs]-[A-Za-z0-9-]{10,}`), Mask},
	{"AKIA", regexp.MustCompile(`AKIA[A-Z0-9]{16}\b`), Mask},
	{"eyJ", regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`), Mask},
	{"PRIVATE KEY", regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|$)`), Mask},
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
	} else if i := strings.LastIndexByte(rest, '@'); i >= 0 && endsInNoPort(host) { // a password with one of /?# in it
		host, rest = Mask, rest[i:]
	}
	path, query, asked := strings.Cut(rest, "?")
	if !asked {
		path, fragment, marked := strings.Cut(rest, "#")
		return scheme + "://" + host + path + r.fragment(fragment, marked)
	}
	query, fragment, marked := strings.Cut(query, "#")
	return scheme + "://" + host + path + "?" + r.Query(query) + r.fragment(fragment, marked)
}

// fragment returns what stands behind a URL. It can have parameters too.
func (r *Redaction) fragment(s string, marked bool) string {
	switch {
	case !marked:
		return ""
	case strings.Contains(s, "="):
		return "#" + r.Query(s)
	}
	return "#" + s
}

// endsInNoPort reports whether what follows the first colon is no port.
func endsInNoPort(host string) bool {
	_, port, found := strings.Cut(host, ":")
	return found && strings.ContainsFunc(port, func(c rune) bool { return c < '0' || c > '9' })
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
		case strings.Contains(value, "%"):
			if text, err := url.QueryUnescape(value); err == nil && strings.Contains(text, "://") { // a URL in a URL
				if safe := r.Text(text); safe != text {
					parameters[i] = name + "=" + url.QueryEscape(safe)
				}
			}
		}
	}
	return strings.Join(parameters, "&")
}

var (
	// secretParameters of URLs are secret besides those that are secret as members.
	secretParameters = map[string]bool{
		"key": true, "sig": true, "auth": true, "code": true, "xamzcredential": true, "ticket": true,
	}
	textParameters = map[string]bool{
		"task": true, "label": true, "search": true, "query": true, "q": true, "name": true, "title": true, "text": true, "prompt": true,
		"message": true, "tags": true, "path": true, "description": true,
	}
)

// Header returns a header with the values of only those fields that are known to hold nothing secret.
func (r *Redaction) Header(h http.Header) http.Header {
	safe := make(http.Header, len(h))
	for name, values := range h {
		name = r.Text(name)
		limits := (strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "Ratelimit")) && !IsCredential(name)
		if !safeFields[name] && !limits {
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
	u, _, _ = strings.Cut(withoutFragment(u), "?")
	return u
}

func withoutFragment(u string) string {
	u, _, _ = strings.Cut(u, "#")
	return u
}

// Body returns a body as it is written. omitted is how many bytes of it are not in data.
func (r *Redaction) Body(data []byte, omitted int64) Body {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if opensJSON(data) {
		text, read, whole := r.json(data)
		if whole && omitted == 0 {
			return Body{JSON: text}
		}
		// Of JSON that is broken nobody can tell what the rest is.
		return Body{Text: string(text), Omitted: omitted + int64(len(data)-read), Broken: omitted == 0}
	}
	return r.other(data, omitted)
}

func opensJSON(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '{' || data[0] == '[')
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

// acrossLines reports whether something secret begins in one line and ends in another: where its parts are, nobody can tell.
func (r *Redaction) acrossLines(lines []string) bool {
	if len(lines) < 2 {
		return false
	}
	together := strings.Join(lines, "")
	safe := r.Text(together)
	return safe != together && safe != strings.ReplaceAll(r.Text(strings.Join(lines, "\n")), "\n", "")
}

// Event returns one event of a stream of events as it is written.
func (r *Redaction) Event(block []byte, omitted int64) Body {
	var kept strings.Builder
	var data, others []string
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(block))
	for line := range strings.Lines(text) {
		value, isData := strings.CutPrefix(strings.TrimRight(line, "\n"), "data:")
		if !isData {
			if line == "\n" {
				break
			}
			_, value, _ = strings.Cut(strings.TrimRight(line, "\n"), ":")
			others = append(others, strings.TrimPrefix(value, " "))
			kept.WriteString(r.line(line))
			continue
		}
		data = append(data, strings.TrimPrefix(value, " "))
	}
	if r.acrossLines(others) {
		kept.Reset()
		kept.WriteString(": " + Mask + "\n")
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
	whole := []byte(strings.Join(data, "\n"))
	body := Body{Text: Mask, Omitted: omitted}
	if opensJSON(whole) || !r.acrossLines(data) { // no text in JSON goes over lines
		body = r.Body(whole, omitted)
	}
	kept.WriteString("data: ")
	kept.WriteString(strings.ReplaceAll(string(body.Bytes()), "\n", "\ndata: "))
	if body.Omitted == 0 || body.Broken {
		kept.WriteString(end)
	}
	return Body{Text: kept.String(), Omitted: body.Omitted, Broken: body.Broken}
}

// line returns a line of a stream of events that has no data. What follows a colon at its beginning is a text.
func (r *Redaction) line(s string) string {
	s = r.Text(s)
	name, value, _ := strings.Cut(strings.TrimRight(s, "\n"), ":")
	if r.OmitTexts && (name == "" || !enumerated.MatchString(strings.TrimSpace(value))) {
		return name + ":" + crossed(value) + s[len(strings.TrimRight(s, "\n")):]
	}
	return s
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
			out = quoted(out, r.value(token.String(), top))
		case kind == '0':
			out = append(out, r.number(token.String(), top.name, top.mode)...)
		case kind != 'n' && (top.mode == secret || top.mode == environment):
			out = quoted(out, Mask)
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
func (r *Redaction) value(s string, at *level) string {
	name, m := at.name, at.mode
	switch {
	case s == "":
		return s
	case m == secret:
		return Mask
	case m == environment:
		if variable := assigned.FindStringSubmatch(s); variable != nil && !at.object {
			return r.Text(variable[1]) + Mask
		}
		return Mask
	case m == connection:
		return hostOnly(s)
	case m == free:
		name = ""
	}
	if likeJSON.MatchString(s) { // as arguments of tools are
		inner, read, whole := r.json([]byte(strings.TrimPrefix(s, "\ufeff")))
		switch {
		case !whole && read < len(s): // nobody can tell what the rest is
			return r.cross(name, string(inner)+Mask)
		case !whole || !bytes.Equal(inner, compacted(s)):
			return r.cross(name, string(inner))
		}
		return r.cross(name, s)
	}
	return r.cross(name, r.Text(s))
}

var (
	// assigned is the name of a variable that is set: what follows is no padding of base64.
	assigned = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]*=)[^=]`)
	likeJSON = regexp.MustCompile(`^\x{FEFF}?[\s]*(?:[\[{]\s*)+["}\]]`)
	// enumerated is what a value looks like that is no text.
	enumerated = regexp.MustCompile(`^[\w.:/@*+%-]{0,128}$`)
)

func compacted(s string) []byte {
	v := jsontext.Value(s)
	_ = v.Compact(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return v
}

var countsTokens = regexp.MustCompile(`^(max|min|num|total|input|output|prompt|completion|cached?|reasoning).*token$`)

// number returns what stands in the place of a number.
func (r *Redaction) number(text, name string, m mode) string {
	switch {
	case m == secret && !countsTokens.MatchString(plainName(name)), m == environment:
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
	if !r.OmitTexts || isStructural(name) && (enumerated.MatchString(s) || isURL(name)) {
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

func isURL(name string) bool {
	name = plainName(name)
	return strings.HasSuffix(name, "url") || strings.HasSuffix(name, "source")
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
	"token", "secret", "secrets", "password", "passwd", "passphrase", "apikey", "apikeys", "accesskey", "accesskeyid", "secretkey",
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
	if above == secret || above == environment || above == connection {
		return above
	}
	name = plainName(name)
	if isCredential(name) {
		return secret
	}
	switch name {
	case "env", "environ", "environment", "envvars", "environmentvariables", "envs", "dotenv":
		return environment
	case "args", "arguments", "toolargs", "currenttoolargs", "partialargs", "input", "metadata", "details", "params", "parameters", "result",
		"toolresult", "partialresult", "output":
		return free
	}
	if purpose, isURL := strings.CutSuffix(strings.TrimSuffix(strings.Replace(name, "uri", "url", 1), "s"), "url"); isURL && slices.ContainsFunc(connectionNames, func(known string) bool {
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
