// Package quote makes text from outside fit to be printed: in one line, of bounded length, and without the
// API key, which a Hub, a proxy or package net/http may repeat in any form.
package quote

import (
	"errors"
	"html"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"
)

// longest is the number of characters that Line leaves of a text.
const longest = 300

// Line makes text fit into one line of an error or a log: no control characters, no user and password of a URL, at
// most 300 characters.
func Line(s string) string {
	s = withoutUserInfo(s)
	end := ""
	if len(s) > longest {
		characters := 0
		for i := range s { // what follows may be megabytes
			if characters++; characters > longest {
				s, end = s[:i], "…"
				break
			}
		}
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return ' '
		}
		return r
	}, s) + end
}

// withoutUserInfo replaces what stands before the host of a URL. Hubs quote the URLs of repositories, which programs
// give them with a token, and whoever makes a proxy's address by hand may quote that. They may be escaped, as in JSON within
// JSON, or as parameters.
func withoutUserInfo(s string) string {
	var b strings.Builder
	copied := 0
	for at := 0; at < len(s); {
		n := schemeEndsAt(s[at:])
		if n == 0 {
			at++
			continue
		}
		at += n
		user, next := userInfo(s[at:])
		if user >= 0 {
			b.WriteString(s[copied:at])
			b.WriteString("[removed]")
			copied = at + user
		}
		at += next
	}
	if copied == 0 {
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// schemeEndsAt returns the length of the "://" that s begins with, 0 if it does not.
func schemeEndsAt(s string) int {
	if s[0] != ':' && strings.IndexByte(escapes, s[0]) < 0 {
		return 0
	}
	at := 0
	for _, c := range []byte("://") {
		n := byteAt(s[at:], c)
		if n == 0 {
			return 0
		}
		at += n
	}
	return at
}

// userInfo returns how long the user and the password are that s begins with, -1 if there are none, and where to look for the
// next URL.
func userInfo(s string) (user, next int) {
	user = -1
	for next < len(s) {
		if n := byteAt(s[next:], '@'); n > 0 {
			user = next
			next += n
			continue
		}
		c, size := utf8.DecodeRuneInString(s[next:])
		if endsHost(c) || byteAt(s[next:], '/')+byteAt(s[next:], '?')+byteAt(s[next:], '#') > 0 {
			break
		}
		if n := schemeEndsAt(s[next:]); n > 0 { // the host was another scheme
			break
		}
		next += size
	}
	return user, next
}

// endsHost reports whether a character cannot stand in front of the path of a URL.
func endsHost(r rune) bool { return strings.ContainsRune("/?#\"'<>\\", r) || unicode.IsSpace(r) }

const (
	shortestKey    = 4 // is looked for
	shortestInside = 8 // is also replaced within a word
	shortestPart   = 8 // of the beginning of a longer key: texts are cut, and net/url quotes parts of a URL
)

// Mask is what stands in the place of a key.
const Mask = "[API key]"

// Redactor takes a key out of texts and errors. The zero value changes nothing. The key is in a closure,
// so that whoever prints a Redactor, or something that has one, does not print the key.
type Redactor struct{ text func(string) string }

// NewRedactor returns a Redactor for a key. A key of fewer than 4 bytes is not looked for: it would be
// found in ordinary words.
func NewRedactor(key string) Redactor {
	if len(key) < shortestKey {
		return Redactor{}
	}
	forms := newForms(formsOf(key))
	return Redactor{forms.replace}
}

// formsOf returns a key as it is, and as package strconv quotes it where that is another text.
func formsOf(key string) []string {
	forms := []string{key}
	if quoted := strconv.Quote(key); quoted[1:len(quoted)-1] != key {
		forms = append(forms, quoted[1:len(quoted)-1])
	}
	return forms
}

// mostKeys is how many keys a Keys knows. Looking for each takes time.
const mostKeys = 64

// Keys is a set of keys that rotate. It knows the newest 64 that were added. The zero Keys is ready for use.
type Keys struct {
	mu    sync.Mutex // for those who add
	known atomic.Pointer[knownKeys]
}

type knownKeys struct {
	newest string
	keys   []string // without those that are too short to be looked for
	forms  *forms   // of the keys; nil: there are none
}

// Add makes a key known.
func (k *Keys) Add(key string) {
	if now := k.known.Load(); now != nil && now.newest == key {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := &knownKeys{newest: key}
	if now := k.known.Load(); now != nil {
		next.keys = slices.DeleteFunc(slices.Clone(now.keys), func(known string) bool { return known == key })
	}
	if len(key) >= shortestKey {
		next.keys = append(next.keys, key)
	}
	next.keys = next.keys[max(0, len(next.keys)-mostKeys):]
	var all []string
	for _, key := range next.keys {
		all = append(all, formsOf(key)...)
	}
	if len(all) > 0 {
		next.forms = newForms(all)
	}
	k.known.Store(next)
}

// Redactor returns a Redactor for the keys that are known when it is used.
func (k *Keys) Redactor() Redactor {
	return Redactor{func(s string) string {
		known := k.known.Load()
		if known == nil || known.forms == nil {
			return s
		}
		return known.forms.replace(s)
	}}
}

// Text returns a text without the key, as it is or escaped: for JSON, for a JSON pointer, for a URL, for
// HTML, or as a quoted Go string. The first 8 bytes of the key, and more, are taken out too where the rest is
// missing.
func (r Redactor) Text(s string) string {
	if r.text == nil {
		return s
	}
	return r.text(s)
}

// Line is Text and then [Line], in this order: a text must not be cut within the key before it is found.
func (r Redactor) Line(s string) string { return Line(r.Text(s)) }

// Error returns err, or if the key is in its text, or in that of an error below it, an error without it.
// That error still matches what err matches, and with errors.As gives out what does not hold the key.
func (r Redactor) Error(err error) error {
	if r.text == nil || err == nil || !r.holds(err) {
		return err
	}
	return &redacted{text: r.Text(err.Error()), redactor: r, cause: func() error { return err }}
}

// holds reports whether the key is in the text or in a field of an error, or of one below it. Errors cut in their
// text what their fields have whole, as those of package json do with a JSON pointer.
func (r Redactor) holds(err error) bool {
	if text := err.Error(); r.Text(text) != text || r.holdsField(err) {
		return true
	}
	switch e := err.(type) { //nolint:errorlint // this walks the tree itself
	case interface{ Unwrap() error }:
		below := e.Unwrap()
		return below != nil && r.holds(below)
	case interface{ Unwrap() []error }:
		for _, below := range e.Unwrap() {
			if below != nil && r.holds(below) {
				return true
			}
		}
	}
	return false
}

// holdsField reports whether the key is in a field of an error that is a text.
func (r Redactor) holdsField(err error) bool {
	v := reflect.Indirect(reflect.ValueOf(err))
	if v.Kind() != reflect.Struct {
		return false
	}
	for i := range v.NumField() {
		var text string
		switch f := v.Field(i); {
		case f.Kind() == reflect.String:
			text = f.String()
		case f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Uint8:
			text = string(f.Bytes())
		}
		if r.Text(text) != text {
			return true
		}
	}
	return false
}

// redacted has the text of an error without the key. Its cause is behind a function: printed with any verb,
// a function is an address.
type redacted struct {
	text     string
	redactor Redactor
	cause    func() error
}

func (e *redacted) Error() string { return e.text }

func (e *redacted) Is(target error) bool { return errors.Is(e.cause(), target) }

func (e *redacted) As(target any) bool {
	found := reflect.ValueOf(target).Elem()
	before := reflect.New(found.Type()).Elem()
	before.Set(found)
	if !errors.As(e.cause(), target) {
		return false
	}
	if err, ok := found.Interface().(error); ok && e.redactor.holds(err) {
		found.Set(before)
		return false
	}
	return true
}

// forms are the forms of keys, by how they begin: keys of one kind begin alike, and most places of a text are the beginning of none.
type forms struct {
	byFirst [256][]family // by the first byte of a text
	all     []family
}

// family is the forms that begin alike.
type family struct {
	beginning string // of shortestKey bytes
	forms     []string
}

func newForms(list []string) *forms {
	f := new(forms)
	for _, form := range list {
		beginning := form[:shortestKey]
		i := slices.IndexFunc(f.all, func(known family) bool { return known.beginning == beginning })
		if i < 0 {
			i = len(f.all)
			f.all = append(f.all, family{beginning: beginning})
		}
		f.all[i].forms = append(f.all[i].forms, form)
	}
	for _, known := range f.all {
		c := known.beginning[0]
		f.byFirst[c] = append(f.byFirst[c], known)
	}
	for c := range escapes { // any byte may follow
		f.byFirst[escapes[c]] = f.all
	}
	return f
}

// replace puts Mask in the place of each of the forms.
func (f *forms) replace(s string) string {
	var b strings.Builder
	copied := 0
	for i := 0; i < len(s); {
		n := f.longestAt(s, i)
		if n == 0 {
			i++
			continue
		}
		b.WriteString(s[copied:i])
		b.WriteString(Mask)
		i += n
		copied = i
	}
	if copied == 0 {
		return s
	}
	b.WriteString(s[copied:])
	return b.String()
}

// longestAt returns how much of s from i on is one of the forms, 0 if nothing is.
func (f *forms) longestAt(s string, i int) int {
	best := 0
	for _, family := range f.byFirst[s[i]] {
		if !begins(s[i:], family.beginning) {
			continue
		}
		for _, form := range family.forms {
			n := matchAt(s[i:], form)
			if n > 0 && len(form) < shortestInside && (wordBefore(s[:i]) || wordAfter(s[i+n:])) {
				n = 0
			}
			best = max(best, n)
		}
	}
	return best
}

// begins reports whether s begins with all of the beginning, each byte as it is or escaped.
func begins(s, beginning string) bool {
	for i := range len(beginning) {
		n := byteAt(s, beginning[i])
		if n == 0 {
			return false
		}
		s = s[n:]
	}
	return true
}

func wordBefore(s string) bool { return s != "" && isWord(s[len(s)-1]) }

func wordAfter(s string) bool { return s != "" && isWord(s[0]) }

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= 0x80 || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c))
}

// matchAt returns how much of the beginning of s is the key, or the beginning of it, each byte of it as it is
// or escaped.
func matchAt(s, key string) int {
	at := 0
	for i := range len(key) {
		n := byteAt(s[at:], key[i])
		switch {
		case n > 0:
			at += n
		case i >= shortestPart:
			return at
		default:
			return 0
		}
	}
	return at
}

// byteAt returns how much of the beginning of s is the byte c, escaped or as it is; 0 if it is not there.
func byteAt(s string, c byte) int {
	if n := escapedAt(s, c); n > 0 {
		return n
	}
	if s != "" && s[0] == c {
		return 1
	}
	return 0
}

// escapes are the bytes with which a byte that is escaped begins.
const escapes = `~%&\`

func escapedAt(s string, c byte) int {
	switch {
	case s == "":
	case s[0] == '~' && len(s) > 1 && (s[1] == '1' && c == '/' || s[1] == '0' && c == '~'):
		return 2
	case s[0] == '%':
		at := afterAll(s, 1, "25") // several, where it was escaped more than once
		if at > 1 && c == '%' {
			return at
		}
		return hexAt(s, at, 2, c)
	case s[0] == '&':
		at := afterAll(s, 1, "amp;")
		if at > 1 && c == '&' {
			return at
		}
		end := strings.IndexByte(s[at:min(len(s), at+9)], ';')
		if end > 0 && html.UnescapeString("&"+s[at:at+end+1]) == string(rune(c)) {
			return at + end + 1
		}
	case s[0] == '\\':
		n := afterAll(s, 0, `\`)
		switch {
		case n == len(s):
		case s[n] == 'u':
			return hexAt(s, n+1, 4, c)
		case s[n] == 'x':
			return hexAt(s, n+1, 2, c)
		case s[n] == c:
			return n + 1
		}
	}
	return 0
}

// mostEscapes is how often a byte may be escaped. Each place of a text is looked at: without a bound a text of
// nothing but backslashes would take quadratic time.
const mostEscapes = 64

// afterAll returns the index behind the repetitions of part at index at.
func afterAll(s string, at int, part string) int {
	for range mostEscapes {
		if !strings.HasPrefix(s[at:], part) {
			break
		}
		at += len(part)
	}
	return at
}

// hexAt returns the end of the hexadecimal digits at index from, if their value is c, else 0.
func hexAt(s string, from, digits int, c byte) int {
	if from+digits > len(s) {
		return 0
	}
	value, err := strconv.ParseUint(s[from:from+digits], 16, 32)
	if err != nil || value != uint64(c) {
		return 0
	}
	return from + digits
}
