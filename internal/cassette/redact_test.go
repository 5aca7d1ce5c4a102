package cassette

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/quote"
)

const testKey = "agc-made/up+key=0123456789" // of no known shape

func redaction() *Redaction { return &Redaction{Keys: quote.NewRedactor(testKey).Text} }

func TestRedaction_Bodies(t *testing.T) {
	for name, test := range map[string]struct{ body, want string }{
		"nothing secret":       {`{"a":[1.50,true,null,"x"],"a":"<again>"}`, `{"a":[1.50,true,null,"x"],"a":"<again>"}`},
		"blanks go":            {"{ \"a\" : 1 }\n", `{"a":1}`},
		"long numbers stay":    {`{"n":12345678901234567890,"f":1e400}`, `{"n":12345678901234567890,"f":1e400}`},
		"the key":              {`{"a":"my ` + testKey + `!"}`, `{"a":"my [API key]!"}`},
		"the key as a name":    {`{"` + testKey + `":1}`, `{"[API key]":1}`},
		"the key, escaped":     {`{"a":"\u0061gc-made\/up\u002bkey=0123456789"}`, `{"a":"[API key]"}`},
		"the key, in a URL":    {`{"a":"x?y=agc-made%2Fup%2Bkey%3D0123456789"}`, `{"a":"x?y=[API key]"}`},
		"the key, JSON twice":  {`{"a":"{\"b\":\"agc-made\\/up+key=0123456789\"}"}`, `{"a":"{\"b\":\"[API key]\"}"}`},
		"the key, cut":         {`{"a":"agc-made/up"}`, `{"a":"[API key]"}`},
		"env":                  {`{"env":{"TOKEN":"s1","EMPTY":"","N":4}}`, `{"env":{"TOKEN":"[removed]","EMPTY":"","N":0}}`},
		"env as a list":        {`{"env":["A=s1","s2",{"name":"s3","value":"s4"}]}`, `{"env":["A=[removed]","[removed]",{"name":"[removed]","value":"[removed]"}]}`},
		"env below":            {`{"runtime":{"env":{"A":{"deep":["s1"]}}}}`, `{"runtime":{"env":{"A":{"deep":["[removed]"]}}}}`},
		"credentials by name":  {`{"accessToken":"s1","API_KEY":"s2","client-secret":"s3","password":4711,"Cookie":["s5"]}`, `{"accessToken":"[removed]","API_KEY":"[removed]","client-secret":"[removed]","password":0,"Cookie":["[removed]"]}`},
		"a whole object":       {`{"credentials":{"user":"s1","list":[{"x":"s2"}]}}`, `{"credentials":{"user":"[removed]","list":[{"x":"[removed]"}]}}`},
		"tokens are counts":    {`{"inputTokens":12,"maxToken":5}`, `{"inputTokens":12,"maxToken":5}`},
		"the first frame":      {`{"authorization":"s1","org_id":"org_1"}`, `{"authorization":"[removed]","org_id":"org_1"}`},
		"repository URL":       {`{"url":"https://user:s1@github.com/a/b.git"}`, `{"url":"https://[removed]@github.com/a/b.git"}`},
		"URL in a text":        {`{"content":"clone https://s1@h/x?token=s2&b=1#f, please"}`, `{"content":"clone https://[removed]@h/x?token=%5Bremoved%5D&b=1#f, please"}`},
		"presigned":            {`{"avatar":"https://h/x?X-Amz-Signature=s1&X-Amz-Credential=s2&v=1"}`, `{"avatar":"https://h/x?X-Amz-Signature=%5Bremoved%5D&X-Amz-Credential=%5Bremoved%5D&v=1"}`},
		"connections":          {`{"streamUrl":"wss://h:1/v1/s1?x=s2","sandboxUrl":"s3"}`, `{"streamUrl":"wss://h:1/[removed]","sandboxUrl":"[removed]"}`},
		"known shapes":         {`{"text":"ghp_0123456789abcdefXYZ and sk-proj-0123456789abcdef, Bearer abcdefghij"}`, `{"text":"[removed] and [removed], Bearer [removed]"}`},
		"arguments in a text":  {`{"args":"{\"password\":\"s1\",\"path\":\"/x\"}"}`, `{"args":"{\"password\":\"[removed]\",\"path\":\"/x\"}"}`},
		"JSON in a text stays": {`{"args":"{ \"path\" : 1 }"}`, `{"args":"{ \"path\" : 1 }"}`},
		"session texts stay":   {`{"task":"My name is Jo","content":"x = 1"}`, `{"task":"My name is Jo","content":"x = 1"}`},
		"half a character":     {"{\"a\":\"\xff\"}", "{\"a\":\"\ufffd\"}"},
		"a list":               {`[{"token":"s1"}]`, `[{"token":"[removed]"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			body := redaction().Body([]byte(test.body), 0)
			assert.Equal(t, test.want, string(body.JSON))
			assert.Zero(t, body.Omitted)
			assert.True(t, json.Valid(body.JSON))
			again := redaction().Body(body.JSON, 0)
			assert.Equal(t, test.want, string(again.JSON), "what was taken out stays out")
		})
	}
}

// TestRedaction_BrokenJSON: of what follows nobody can tell what it is.
func TestRedaction_BrokenJSON(t *testing.T) {
	for name, test := range map[string]struct {
		body, want string
		omitted    int64
	}{
		"cut in a value":   {`{"a":1,"token":"s1s1`, `{"a":1,"token"`, 6},
		"cut in a name":    {`{"a":1,"tok`, `{"a":1`, 5},
		"cut after":        {`{"token":"s1","b":[`, `{"token":"[removed]","b":[`, 0},
		"something after":  {`{"token":"s1"} token=s2`, `{"token":"[removed]"}`, 0},
		"not JSON at all":  {`{{ token: s1 }}`, `{`, 14},
		"a second value":   {`{"token":"s1"}{"token":"s2"}`, `{"token":"[removed]"},{"token":"[removed]"}`, 0},
		"wrong in between": {`{"a":[1,}],"token":"s1"}`, `{"a":[1`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			body := redaction().Body([]byte(test.body), 0)
			assert.Empty(t, body.JSON)
			assert.Equal(t, test.want, body.Text)
			assert.NotContains(t, string(body.Bytes()), "s1")
			assert.NotContains(t, string(body.Bytes()), "s2")
			if test.omitted > 0 {
				assert.Equal(t, test.omitted, body.Omitted)
			}
		})
	}
	body := redaction().Body([]byte(`{"a":1}`), 7)
	assert.Equal(t, Body{Text: `{"a":1}`, Omitted: 7}, body, "there was more")
}

func TestRedaction_OtherBodies(t *testing.T) {
	body := redaction().Body([]byte("<p>"+testKey+" https://u:p@h/</p>"), 0)
	assert.Equal(t, Body{Text: "<p>[API key] https://[removed]@h/</p>"}, body)
	body = redaction().Body([]byte("\xff\x00"+testKey+"\xfe"), 3)
	assert.Equal(t, Body{Base64: []byte("\xff\x00[API key]\xfe"), Omitted: 3}, body)
	assert.Equal(t, Body{}, redaction().Body(nil, 0))
}

func TestRedaction_Events(t *testing.T) {
	for name, test := range map[string]struct{ block, want string }{
		"an event":       {"event: x\ndata: {\"token\":\"s1\"}\n\n", "event: x\ndata: {\"token\":\"[removed]\"}\n\n"},
		"other ends":     {"event: x\r\ndata: {\"a\":1}\r\n\r\n", "event: x\ndata: {\"a\":1}\n\n"},
		"several lines":  {"data: {\"a\":\ndata: 1}\nid: 7\n\n", "id: 7\ndata: {\"a\":1}\n\n"},
		"no JSON":        {"data: one\ndata: " + testKey + "\n\n", "data: one\ndata: [API key]\n\n"},
		"a comment":      {": keep-alive\n\n", ": keep-alive\n\n"},
		"a blank":        {"\n", "\n"},
		"without blank":  {"data:{}\n\n", "data: {}\n\n"},
		"cut in data":    {"event: x\ndata: {\"a\":1,\"token\":\"s1", "event: x\ndata: {\"a\":1,\"token\""},
		"cut after data": {"data: {}\n", "data: {}\n"},
		"cut in a field": {"event: x", "event: x"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, redaction().Event([]byte(test.block), 0).Text)
		})
	}
}

func TestRedaction_Requests(t *testing.T) {
	r := redaction()
	assert.Equal(t, "https://h/p/[API key]?api_key=%5Bremoved%5D&a=1&token=%5Bremoved%5D",
		r.URL("https://h/p/"+testKey+"?api_key=s1&a=1&token=s2"))
	assert.Equal(t, "https://[removed]@h", r.URL("https://u:p@h"))
	assert.Equal(t, http.Header{
		"Authorization": {Mask}, "X-Agentuity-Auth-Api-Key": {Mask}, "Cookie": {Mask}, "Set-Cookie": {Mask}, "X-Unheard-Of": {Mask},
		"Content-Type": {"application/json"}, "User-Agent": {"me [API key]"}, "X-Ratelimit-Reset": {"3"}, "Location": {"https://[removed]@h/x"},
	}, r.Header(http.Header{
		"Authorization": {"Bearer " + testKey}, "X-Agentuity-Auth-Api-Key": {"s1"}, "Cookie": {"s2"}, "Set-Cookie": {"s3"}, "X-Unheard-Of": {"s4"},
		"Content-Type": {"application/json"}, "User-Agent": {"me " + testKey}, "X-Ratelimit-Reset": {"3"}, "Location": {"https://u:p@h/x?t=s5"},
	}))
}

func TestRedaction_OmitTexts(t *testing.T) {
	r := redaction()
	r.OmitTexts = true
	body := r.Body([]byte(`{"sessionId":"codesess_1","task":"Say hello, Jo","status":"active","createdAt":"2026-11-28T19:30:59Z","tags":["blue"],`+
		`"entries":[{"type":"message","content":[{"type":"text","text":"Hi\nJo"}]},{"type":"tool_call","toolName":"bash","toolArgs":{"command":"ls /home/jo"}}],`+
		`"command":"prompt","what":"Jo","metadata":{"id":"Jo"}}`), 0)
	assert.JSONEq(t, `{"sessionId":"codesess_1","task":"xxx xxxxxx xx","status":"active","createdAt":"2026-11-28T19:30:59Z","tags":["xxxx"],
		"entries":[{"type":"message","content":[{"type":"text","text":"xx\nxx"}]},{"type":"tool_call","toolName":"bash","toolArgs":{"command":"xx xxxxxxxx"}}],
		"command":"prompt","what":"xx","metadata":{"id":"xx"}}`, string(body.JSON))
	assert.Equal(t, "xxxxxx xxxxxxxx", r.Body([]byte("<h1>Jo was</h1>"), 0).Text)
	assert.Equal(t, "event: turn_end\ndata: {\"type\":\"broadcast\",\"data\":{\"text\":\"xx\"}}\n\n",
		r.Event([]byte("event: turn_end\ndata: {\"type\":\"broadcast\",\"data\":{\"text\":\"Jo\"}}\n\n"), 0).Text)
	assert.Equal(t, "role=lead&task=xxx+xxxxx", r.Query("role=lead&task=Say+hello"))
	whole, parts := crossed("Say hello, Jo"), crossed("Say hel")+crossed("lo, Jo")
	assert.Equal(t, whole, parts, "pieces make up the whole")
}

// TestRedaction_LinearTime: what a Hub sends must not cost more than its size.
func TestRedaction_DeepAndLong(t *testing.T) {
	deep := strings.Repeat("[", 9000) + strings.Repeat("]", 9000)
	assert.Equal(t, deep, string(redaction().Body([]byte(deep), 0).JSON))
	require.Empty(t, redaction().Body([]byte(strings.Repeat("[", 20000)), 0).JSON)
}

// FuzzRedaction: wherever the key stands, it is not in what is written. A byte stands for the key, and two others for the halves
// of it, so that fuzzing puts it in many places.
func FuzzRedaction(f *testing.F) {
	f.Add([]byte(`{"token":"` + testKey + `","env":{"A":"b"},"url":"https://u:p@h/?token=x"}`))
	f.Add([]byte("event: x\ndata: {\"a\":\"" + testKey + "\"}\n\n"))
	f.Add([]byte(`["{\"a\":\"` + testKey + `\"}"]`))
	f.Add([]byte("data: agc-made/up+\ndata:key=0123456789\n\n"))
	f.Add([]byte("{\"\x00\":{\"\x00\":[\"\x01\x02\",7,null]}}"))
	f.Add([]byte(": \x00\nid: \x00\nevent: x\x00\n\x00: y\ndata: \x01\ndata: \x02\n\n"))
	f.Add([]byte("{\"args\":\"{\\\"\x00\\\":\\\"\x00\\\"}\",\"url\":\"https://h/\x00?a=\x00&\x00=b#\x00\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, part := range []struct{ is, of string }{{"\x00", testKey}, {"\x01", testKey[:11]}, {"\x02", testKey[11:]}} {
			data = bytes.ReplaceAll(data, []byte(part.is), []byte(part.of))
		}
		r := redaction()
		if text := r.Event(data, 0).Text; strings.Contains(strings.NewReplacer("\ndata: ", "", "\n: ", "").Replace(text), testKey) {
			t.Fatalf("%q became %q, with the key over lines", data, text)
		}
		for _, body := range []Body{r.Body(data, 0), r.Event(data, 0)} {
			if body.JSON != nil && !json.Valid(body.JSON) {
				t.Fatalf("%q became %q, which is no JSON", data, body.JSON)
			}
			if strings.Contains(string(body.Bytes()), testKey) {
				t.Fatalf("%q became %q, with the key", data, body.Bytes())
			}
		}
	})
}

// TestRedaction_Leaks: secrets that a reader has found in the forms in which they come.
func TestRedaction_Leaks(t *testing.T) {
	const s = "S3CR3T0123456789abcdef"
	for name, body := range map[string]string{
		"padding of base64 in env":   `{"env":{"A":"` + s + `=","B":"dsn://` + s + `/?a=b","C":"k=` + s + `"}}`,
		"base64 in a list of env":    `{"env":["` + s + `=","` + s + `==","A=` + s + `"]}`,
		"below a variable":           `{"env":{"A":{"value":"a=` + s + `"}}}`,
		"arguments that are cut":     `{"partialArgs":"{\"path\":\"x\",\"password\":\"` + s + `"}`,
		"lines of JSON":              `{"output":"{\"a\":1}\n{\"token\":\"` + s + `\"}"}`,
		"blanks before JSON":         `{"output":"  {\"token\":\"` + s + `\"}"}`,
		"words before JSON":          `{"output":"out: {\"token\":\"` + s + `\"}"}`,
		"a piece of arguments":       `{"delta":"\",\"password\":\"` + s + `\""}`,
		"JSON in JSON in a text":     `{"output":"log: {\"x\":\"{\\\"token\\\":\\\"` + s + `\\\"}\"}"}`,
		"a mark at the beginning":    "\ufeff" + `{"token":"` + s + `"}`,
		"a name that is escaped":     `{"u":"https://h/?%74oken=` + s + `&a=1","v":"https://h/?%6bey=` + s + `"}`,
		"an environment in a text":   `{"output":"{\"env\":{\"A\":\"` + s + `\"}}"}`,
		"a fragment":                 `{"u":"https://h/cb#access_token=` + s + `","v":"https://h/?a=1#access_token=` + s + `"}`,
		"a URL without a host":       `{"u":"/api/ws?api_key=` + s + `&a=1"}`,
		"a URL in a URL":             `{"u":"https://h/?redirect=https%3A%2F%2Fu%3A` + s + `%40h%2F%3Ftoken%3D` + s + `"}`,
		"parameters in HTML":         `{"u":"https://h/?a=1&amp;sig=` + s + `&amp;key=` + s + `"}`,
		"an escaped separator":       `{"u":"https://h/?a=1\\u0026token=` + s + `"}`,
		"a password with a mark":     `{"u":"postgres://u:x#` + s + `@h/db","v":"postgres://u:x/` + s + `@h/db"}`,
		"a form":                     `{"body":"client_secret=` + s + `&refresh_token=` + s + `"}`,
		"a credential behind a line": `{"log":"x\\nghp_` + s + `","a":"K_agc_` + s + `","b":"token%3Dsk-` + s + `","c":"Bearer%20` + s + `"}`,
		"a key of PGP":               `{"a":"-----BEGIN PGP PRIVATE KEY BLOCK-----\n` + s + `\n-----END PGP PRIVATE KEY BLOCK-----"}`,
		"a list of keys":             `{"apiKeys":["` + s + `"],"streamUrls":["wss://h/` + s + `"],"streamUrl":{"href":"wss://h/` + s + `"},"sandboxUri":"https://h/` + s + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			whole := (&Redaction{}).Body([]byte(body), 0)
			assert.NotContains(t, string(whole.Bytes()), s)
			event := (&Redaction{}).Event([]byte("data: "+body+"\n\n"), 0)
			assert.NotContains(t, event.Text, s)
			assert.True(t, strings.HasSuffix(event.Text, "\n\n"), "the next event begins behind it: %q", event.Text)
		})
	}
	header := (&Redaction{}).Header(http.Header{
		"Location": {"/cb#access_token=" + s}, "X-Ratelimit-Token": {s}, "Content-Type": {"text/plain; token=" + s},
	})
	assert.NotContains(t, fmt.Sprint(header), s)
	known := &Redaction{Keys: quote.NewRedactor("012345678901").Text}
	assert.NotContains(t, string(known.Body([]byte(`{"a":10123456789010,"b":-0.012345678901}`), 0).JSON), "1234567890", "a key that is a number")
	assert.NotContains(t, fmt.Sprint(known.Header(http.Header{"X-012345678901": {"x"}})), "1234567890", "the name of a header")
	for _, plain := range []string{`{"text":"[INFO] it works","b":"[x] done: 1","c":"a = b & c = d","d":"see https://h/x@2 and f(a=1)"}`} {
		assert.JSONEq(t, plain, string((&Redaction{}).Body([]byte(plain), 0).JSON), "what is no secret stays")
	}
}

// TestRedaction_OmitTextsFree: what a tool says is a text, whatever its name.
func TestRedaction_OmitTextsFree(t *testing.T) {
	r := &Redaction{OmitTexts: true}
	out := string(r.Body([]byte(`{"result":{"url":"secret thing","command":"secret thing"},"output":{"state":"secret thing"},"command":"cat a secret thing","type":"message_end"}`), 0).JSON)
	assert.NotContains(t, out, "secret")
	assert.Contains(t, out, `"type":"message_end"`)
	assert.NotContains(t, r.Event([]byte(": a secret thing\nevent: x\ndata: {}\n\n"), 0).Text, "secret")
}

// TestRedaction_EventsSplit: what is secret over several data lines, which whoever reads the stream puts together.
func TestRedaction_EventsSplit(t *testing.T) {
	const s = "S3CR3T0123456789abcdef"
	whole := strings.ReplaceAll(testKey, "-", "_") // one word
	r := &Redaction{Keys: quote.NewRedactor(whole).Text}
	for name, test := range map[string]struct{ block, secret string }{
		"a key":                 {"data: a " + whole[:9] + "\ndata: " + whole[9:] + " b\n\n", whole[9:]},
		"after a byte":          {"data: a " + whole[:1] + "\ndata: " + whole[1:] + " b\n\n", whole[1:]},
		"before the last":       {"data: a " + whole[:len(whole)-1] + "\ndata:" + whole[len(whole)-1:] + "\n\n", whole[:len(whole)-1]},
		"over three lines":      {"data: " + whole[:5] + "\ndata: " + whole[5:9] + "\ndata: " + whole[9:] + "\n\n", whole[9:]},
		"other fields between":  {"data: " + whole[:9] + "\nid: 7\ndata: " + whole[9:] + "\n\n", whole[9:]},
		"without an end":        {"data: " + whole[:9] + "\ndata: " + whole[9:], whole[9:]},
		"other ends":            {"data: " + whole[:9] + "\r\ndata: " + whole[9:] + "\r\r", whole[9:]},
		"a shape":               {"data: ghp_S3CR3T01\ndata: 23456789abcdef\n\n", "23456789abcdef"},
		"a password":            {"data: https://u:S3CR3T01\ndata: " + s + "@h/\n\n", s},
		"a form":                {"data: password=\ndata: " + s + "\n\n", s},
		"a member":              {"data: x {\"token\":\ndata: \"" + s + "\"}\n\n", s},
		"a key in a member":     {"data: {\"a\":\"" + whole[:9] + "\ndata: " + whole[9:] + "\"}\n\n", whole[9:]},
		"a token over lines":    {"data: {\"token\":\"a\ndata: " + s + "\"}\n\n", s},
		"comments":              {": " + whole[:9] + "\n: " + whole[9:] + "\n\n", whole[9:]},
		"a key in another line": {"event: " + whole[:9] + "\nid: " + whole + "\n\n", whole[9:]},
	} {
		t.Run(name, func(t *testing.T) {
			body := r.Event([]byte(test.block), 0)
			assert.NotContains(t, body.Text, test.secret)
		})
	}
	assert.Equal(t, "event: x\ndata: [removed]\n\n", r.Event([]byte("event: x\ndata: a "+whole[:9]+"\ndata: "+whole[9:]+"\n\n"), 0).Text)
	// What has no secret stays in its lines.
	assert.Equal(t, "data: one\ndata: two\ndata: \ndata: three\n\n", r.Event([]byte("data: one\ndata: two\ndata:\ndata: three\n\n"), 0).Text)
}
