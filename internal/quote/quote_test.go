package quote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/quote"
)

func TestRedactor_TextFindsEveryForm(t *testing.T) {
	for _, key := range []string{"agc_made-up/key+1", `odd"key\with<marks>&more`, "päss-with-ümlauts", "12345678"} {
		escaped := func(format string) string {
			var b strings.Builder
			for _, c := range []byte(key) {
				fmt.Fprintf(&b, format, c)
			}
			return b.String()
		}
		inJSON, err := json.Marshal(key)
		require.NoError(t, err)
		for name, form := range map[string]string{
			"plain":             key,
			"JSON":              string(inJSON),
			"JSON with slashes": strings.ReplaceAll(string(inJSON), "/", `\/`),
			"Go quoted":         fmt.Sprintf("%q", key),
			"ASCII quoted":      fmt.Sprintf("%+q", strings.ReplaceAll(key, "ä", "ä")),
			"path":              url.PathEscape(key),
			"query":             url.QueryEscape(key),
			"query in a query":  url.QueryEscape(url.QueryEscape(key)),
			"query, three deep": url.QueryEscape(url.QueryEscape(url.QueryEscape(key))),
			"HTML in HTML":      html.EscapeString(html.EscapeString(key)),
			"all percent":       escaped("%%%02x"),
			"all percent, HEX":  escaped("%%%02X"),
			"HTML":              html.EscapeString(key),
			"JSON pointer":      strings.NewReplacer("~", "~0", "/", "~1").Replace(key),
			"all hex":           escaped(`\x%02x`),
		} {
			if name == "ASCII quoted" && strings.Contains(key, "ä") {
				continue // \u00e4 is one character of two bytes
			}
			t.Run(name+" of "+fmt.Sprint(len(key)), func(t *testing.T) {
				got := quote.NewRedactor(key).Text("before " + form + " and " + form + " after")
				mark := ""
				if strings.HasPrefix(form, `"`) {
					mark = `"`
				}
				want := mark + quote.Mask + mark
				assert.Equal(t, "before "+want+" and "+want+" after", got)
			})
		}
	}
	r := quote.NewRedactor("agc_made-up")
	assert.Equal(t, `{"a":"[API key]"}`, r.Text(`{"a":"\u0061gc\u005Fmade\u002dup"}`))
	assert.Equal(t, `{\"a\":\"[API key]\"}`, r.Text(`{\"a\":\"agc\\u005Fmade-up\"}`), "JSON within JSON")
	assert.Equal(t, "part: [API key]/up", r.Text("part: agc_made/up"), "the rest is missing")
	assert.Equal(t, "agc_mad", r.Text("agc_mad"), "too little to be sure, and to be of use")
	assert.Equal(t, `refused: "[API key]"`, quote.NewRedactor("a\tkey\nof lines").Text(`refused: "a\tkey\nof lines"`), "what no header takes is quoted")
	assert.Equal(t, "nothing", r.Text("nothing"))
	assert.Equal(t, "100% \\ & &amp; \\u00", r.Text("100% \\ & &amp; \\u00"))
}

func TestRedactor_TextTakesLinearTime(t *testing.T) {
	r := quote.NewRedactor("agc_made-up")
	for _, part := range []string{`\`, "%25", "25", "&amp;", "amp;", "agc_mad"} {
		text := strings.Repeat(part, 1<<20/len(part))
		began := time.Now()
		assert.Equal(t, text, r.Text(text))
		assert.Less(t, time.Since(began), 10*time.Second, part) // quadratic, it takes minutes
	}
	for _, part := range []string{`\`, ":", "://", "%3A", "://%40", "a:", "@", "&#58;"} {
		began := time.Now()
		quote.Line(strings.Repeat(part, 1<<20/len(part)))
		assert.Less(t, time.Since(began), 10*time.Second, part)
	}
}

func TestRedactor_TextLeavesWordsAlone(t *testing.T) {
	r := quote.NewRedactor("token")
	assert.Equal(t, "tokens are not the [API key], nor is a_token", r.Text("tokens are not the token, nor is a_token"))
	assert.Equal(t, "abc", quote.NewRedactor("abc").Text("abc"))
	assert.Equal(t, "abc", quote.Redactor{}.Text("abc"))
	assert.Equal(t, "", quote.NewRedactor("").Text(""))
}

func TestRedactor_Error(t *testing.T) {
	const key = "agc_made-up"
	r := quote.NewRedactor(key)
	require.NoError(t, r.Error(nil))
	assert.Same(t, io.EOF, r.Error(io.EOF))

	cause := errors.Join(&net.OpError{Op: "read", Err: fmt.Errorf("malformed %q: %w", key, io.ErrUnexpectedEOF)}, context.Canceled, &net.DNSError{Err: "x"})
	err := r.Error(fmt.Errorf("call: %w", cause))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.ErrorIs(t, err, context.Canceled)
	var dns *net.DNSError
	require.ErrorAs(t, err, &dns)
	var op *net.OpError
	assert.NotErrorAs(t, err, &op, "its text has the key")
	assert.Nil(t, op)
	assert.Contains(t, err.Error(), `malformed "[API key]"`)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		text := fmt.Sprintf(verb, err)
		assert.NotContains(t, text, key, verb)
		assert.NotContains(t, text, fmt.Sprintf("%x", key), verb)
	}

	hidden := r.Error(hides{fmt.Errorf("key %s", key)})
	assert.Equal(t, "hidden", hidden.Error())
	assert.NoError(t, errors.Unwrap(hidden), "what is below has the key")
	var all hidesAll
	assert.NotErrorAs(t, r.Error(hidesAll{io.EOF, fmt.Errorf("key %s", key)}), &all, "one of those below has the key")
}

// hides is an error whose text does not show what is below it.
type hides struct{ err error }

func (hides) Error() string   { return "hidden" }
func (h hides) Unwrap() error { return h.err }

// hidesAll is hides for several errors.
type hidesAll []error

func (hidesAll) Error() string     { return "hidden" }
func (h hidesAll) Unwrap() []error { return h }

func TestLine(t *testing.T) {
	assert.Equal(t, "a b c", quote.Line("a\nb\x7fc"))
	assert.Equal(t, strings.Repeat("ä", 300), quote.Line(strings.Repeat("ä", 300)))
	assert.Equal(t, strings.Repeat("ä", 300)+"…", quote.Line(strings.Repeat("ä", 301)))
	assert.Equal(t, strings.Repeat("\ufffd", 300)+"…", quote.Line(strings.Repeat("\xff", 301)))
	long := "\n" + strings.Repeat("ä", 8<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	assert.Equal(t, " "+strings.Repeat("ä", 299)+"…", quote.Line(long))
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "of a long text little is copied")
	r := quote.NewRedactor("agc_made-up")
	assert.Equal(t, strings.Repeat("a", 297)+"[AP…", r.Line(strings.Repeat("a", 297)+"agc_made-up"), "cut after it was found")
}

// TestKeys: those of late are taken out of texts, by Redactors made before too; their number is bounded.
func TestKeys(t *testing.T) {
	var keys quote.Keys
	r := keys.Redactor()
	assert.Equal(t, "agc_number-000", r.Text("agc_number-000"), "nothing is known yet")
	name := func(i int) string { return fmt.Sprintf("%03d-the-number-of-a-key", i) }
	for i := range 100 {
		keys.Add(name(i))
		keys.Add(name(i))
		keys.Add(name(99)) // is used again and again
		keys.Add("abc")    // too short to be looked for
	}
	for i := range 100 {
		want := quote.Mask
		if i < 36 { // 99 and the 63 before it are known
			want = name(i)
		}
		assert.Equal(t, want, r.Text(name(i)))
	}
	assert.Equal(t, "abc", r.Text("abc"))
	assert.Error(t, r.Error(errors.New(name(99))))
	assert.NotContains(t, r.Error(errors.New(name(99))).Error(), name(99))
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		assert.NotContains(t, fmt.Sprintf(verb, r), name(99))
	}

	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 100 {
				keys.Add(name(100*i + n))
				assert.Equal(t, "x", r.Text("x"))
			}
		})
	}
	wg.Wait()
}

// TestKeys_FormsDoNotHideOneAnother: keys that begin alike, and differ from the first byte on.
func TestKeys_FormsDoNotHideOneAnother(t *testing.T) {
	var keys quote.Keys
	all := []string{"agc_one-made-up", "agc_one-made-up-longer", "agc_two/made-up", "xkey", "xkey-longer", `"quoted"key`, "%41percent", "~/home-key", "&and;key"}
	for _, key := range all {
		keys.Add(key)
	}
	r := keys.Redactor()
	for _, key := range all {
		inJSON, err := json.Marshal(key)
		require.NoError(t, err)
		for _, form := range []string{key, url.QueryEscape(key), html.EscapeString(key), strings.Trim(string(inJSON), `"`), strings.ReplaceAll(url.QueryEscape(key), "%", "%25")} {
			assert.Equal(t, "a ([API key]) b", r.Text("a ("+form+") b"), form)
		}
	}
	assert.Equal(t, "[API key]", r.Text("agc_two/"), "the first bytes of a key")
	assert.Equal(t, "agc_thr axkeyb xke", r.Text("agc_thr axkeyb xke"))
}

// TestLine_Controls: a terminal obeys the control characters of both sets, and ends a line at more than one of them.
func TestLine_Controls(t *testing.T) {
	assert.Equal(t, "a b c d e f g", quote.Line("a\nb\x1bc\u009bd\u0085e\u2028f\u2029g"))
	assert.Equal(t, "a b c d", quote.Line("a\u202eb\u2066c\u200ed"), "what turns the direction of a text")
	assert.Equal(t, "ü 日本 👩\u200d💻", quote.Line("ü 日本 👩\u200d💻"), "what joins characters stays")
}

// TestLine_UserInfo: the user and the password of a URL are not printed, wherever it stands in a text.
func TestLine_UserInfo(t *testing.T) {
	for in, want := range map[string]string{
		"clone https://x-token:ghs_1@github.com/a/b.git and ssh://git@h:22/x": "clone https://[removed]@github.com/a/b.git and ssh://[removed]@h:22/x",
		`parse "http://u:p@ss@h:port": invalid`:                               `parse "http://[removed]@h:port": invalid`,
		"https://h/a@b, https://h?x=a@b https://h#a@b mail a@b":               "https://h/a@b, https://h?x=a@b https://h#a@b mail a@b",
		"https://[removed]@h":                    "https://[removed]@h",
		"://":                                    "://",
		`{"url":"https:\/\/u:p@h\/x"}`:           `{"url":"https:\/\/[removed]@h\/x"}`,
		`{\"url\":\"https:\\/\\/u:p@h\"}`:        `{\"url\":\"https:\\/\\/[removed]@h\"}`,
		"see https%3A%2F%2Fu%3Ap%40h%2Fx%40y":    "see https%3A%2F%2F[removed]%40h%2Fx%40y",
		"https%3a%2f%2fu:p@h":                    "https%3a%2f%2f[removed]@h",
		"a://b@" + strings.Repeat("c://d@e ", 2): "a://[removed]@" + strings.Repeat("c://[removed]@e ", 2),
	} {
		assert.Equal(t, want, quote.Line(in))
	}
	assert.NotContains(t, quote.Line(strings.Repeat("x", 280)+"https://user:s3cr3t-and-long@h"), "s3c", "taken out before it is cut")
}
