package main

import (
	"bytes"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/progress"
)

// TestThePolicy forbids everything but the style sheet, whose digest it has: a browser compares it with what is in the page.
func TestThePolicy(t *testing.T) {
	hub, client := newHub(t)
	text := pageOf(t, client, sample(hub), pages["html"])
	_, style, found := strings.Cut(text, "<style>")
	require.True(t, found)
	style, _, _ = strings.Cut(style, "</style>")
	assert.Equal(t, styleText, style, "no byte of it is changed, or else the digest is wrong")
	assert.NotContains(t, style, "url(")
	assert.NotContains(t, style, "@import")
	assert.Regexp(t, `^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; img-src data:; base-uri 'none'; form-action 'none'$`, policy())
	assert.NotRegexp(t, `style="|\son[a-z]+="|<script|<link|<iframe|<object|<form`, text)
	head, _, _ := strings.Cut(text, "<style>")
	assert.Less(t, strings.Index(head, "Content-Security-Policy"), strings.Index(head, "<title>"), "it comes before all that it is about")
}

// TestContrast: text on each background of either theme has the contrast of WCAG AA, 4.5 to 1.
func TestContrast(t *testing.T) {
	themes := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(styleText, -1)
	require.Len(t, themes, 3, "light, dark and paper")
	for _, theme := range themes {
		colour := make(map[string]float64)
		for _, m := range regexp.MustCompile(`--(\w+): #([0-9a-f]{6});`).FindAllStringSubmatch(theme, -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		require.Len(t, colour, 9)
		for background, texts := range map[string]string{"page": "text quiet link good bad", "prompt": "text", "code": "text"} {
			for text := range strings.FieldsSeq(texts) {
				light, dark := max(colour[text], colour[background]), min(colour[text], colour[background])
				assert.GreaterOrEqual(t, (light+0.05)/(dark+0.05), 4.5, "%s on %s in\n%s", text, background, theme)
			}
		}
	}
}

func luminance(t *testing.T, hex string) (sum float64) {
	t.Helper()
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// TestProgress has a Hub that takes its time.
func TestProgress(t *testing.T) {
	for _, test := range []struct {
		terminal bool
		takes    time.Duration
		want     string
	}{
		{true, 900 * time.Millisecond, ""},
		{false, 900 * time.Millisecond, ""},
		{false, 12 * time.Second, "transcript: 0 entries, 0 bytes, 1 s\ntranscript: 0 entries, 0 bytes, 11 s\n"},
		{true, 1300 * time.Millisecond, "transcript: 0 entries, 0 bytes, 1 s\r\x1b[Ktranscript: 0 entries, 0 bytes, 1 s\r\x1b[K"},
	} {
		synctest.Test(t, func(t *testing.T) {
			hub, client := newHub(t)
			id := sample(hub)
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Delay: test.takes})
			var errs bytes.Buffer
			require.NoError(t, write(t.Context(), client, id, &settings{format: "md"}, io.Discard, &teller{Teller: &progress.Teller{Name: "transcript", Out: &errs, Terminal: test.terminal}}))
			assert.Equal(t, test.want, errs.String(), "%+v", test)
			hub.Close()
		})
	}
}

// TestWhatOthersSayIsClean does nothing to the terminal.
func TestWhatOthersSayIsClean(t *testing.T) {
	var errs bytes.Buffer
	(&progress.Teller{Name: "transcript", Out: &errs}).Say("%v", errors.New("a\x1b[2Jb"))
	assert.Equal(t, "transcript: a[2Jb\n", errs.String())
}
