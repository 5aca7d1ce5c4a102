package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// page is a page in the browser.
type page struct {
	t   *testing.T
	tab context.Context // until the page is closed
	ctx context.Context // until a test has waited for too long

	mu     sync.Mutex
	errors []string // what the browser's own console says, and what it should not
}

// screen is what a page is shown on.
type screen struct {
	width, height int64
	dark          bool
}

var wide = screen{1280, 800, false}

// shows opens a page. When the test is over the browser must have found nothing wrong with it.
func shows(t *testing.T, url string, on screen) *page {
	t.Helper()
	ctx, cancel := openTab()
	p := &page{t: t, tab: ctx, ctx: ctx}
	if deadline, ok := t.Deadline(); ok { // so that it can be told what a test has waited for
		var end context.CancelFunc
		p.ctx, end = context.WithDeadline(ctx, deadline.Add(-10*time.Second))
		t.Cleanup(end)
	}
	t.Cleanup(func() {
		cancel()
		assert.Empty(t, p.errors, "errors of the page")
	})
	require.NoError(t, chromedp.Do(ctx)) // opens the tab
	require.NoError(t, chromedp.Listen(ctx, p.hears))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	p.looks(on)
	p.does(chromedp.Navigate(url))
	return p
}

// forgives takes what the browser has found wrong, if a test has made it so.
func (p *page) forgives(text string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = slices.DeleteFunc(p.errors, func(found string) bool { return strings.Contains(found, text) })
}

// looks changes the screen.
func (p *page) looks(on screen) {
	p.t.Helper()
	scheme := "light"
	if on.dark {
		scheme = "dark"
	}
	p.does(chromedp.EmulateViewport(on.width, on.height))
	_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	require.NoError(p.t, err)
}

func (p *page) hears(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		text = fmt.Sprint(e.Type)
		for _, arg := range e.Args {
			text += " " + string(arg.Value)
		}
	case *log.EventEntryAdded:
		text = fmt.Sprint(e.Entry.Level, " ", e.Entry.Text, " ", e.Entry.URL)
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.errors = append(p.errors, text)
	}
}

func (p *page) does(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, actions...))
}

// evaluate evaluates an expression in a page.
func evaluate[T any](p *page, expression string) T {
	p.t.Helper()
	value, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, expression)
	return value
}

// text is the text of an element.
func (p *page) text(selector string) string {
	p.t.Helper()
	return evaluate[string](p, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

// until waits until an expression is true. A page that is left takes the expression with it: the next one is asked.
func (p *page) until(expression string) {
	p.t.Helper()
	waiting := `new Promise((found) => { const look = () => { if (` + expression + `) found(true); else setTimeout(look, 10); }; look(); })`
	for {
		_, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool](waiting, chromedp.EvalAwaitPromise))
		switch {
		case err == nil:
			return
		case strings.Contains(err.Error(), "navigated"), strings.Contains(err.Error(), "context was destroyed"), strings.Contains(err.Error(), "Cannot find"):
		default:
			require.NoError(p.t, err, "waiting for %s; the page has:\n%s", expression, p.dump())
		}
	}
}

// dump is what the page shows, for somebody who wonders why a test waits.
func (p *page) dump() string {
	text, err := chromedp.Run(p.tab, chromedp.Evaluate[string]("document.body.innerText"))
	return fmt.Sprint(text, err)
}

// untilState waits until the page says so of the session.
func (p *page) untilState(text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("document.querySelector('#status')?.textContent === %q", text))
}

func (p *page) clicks(selector string) {
	p.t.Helper()
	p.does(chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (p *page) types(selector, text string) {
	p.t.Helper()
	p.does(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// presses presses a key, wherever the focus is.
func (p *page) presses(key string, modifiers ...chromedp.KeyOption) {
	p.t.Helper()
	p.does(chromedp.KeyEvent(key, modifiers...))
}

// tabs presses Tab until the focus is on an element, which must be seen then.
func (p *page) tabs(selector string) {
	p.t.Helper()
	for range 100 {
		p.presses(kb.Tab)
		if evaluate[bool](p, fmt.Sprintf("document.activeElement?.matches(%q) ?? false", selector)) {
			ring := evaluate[string](p, "getComputedStyle(document.activeElement).outlineStyle")
			assert.Equal(p.t, "solid", ring, "the focus on %s should be seen", selector)
			return
		}
	}
	require.Fail(p.t, "the Tab key does not lead to it", selector)
}

// said is what a page shows of a conversation, each with who has said it.
func (p *page) said() []string {
	p.t.Helper()
	return evaluate[[]string](p, `Array.from(document.querySelectorAll('.message'))
		.map((m) => (m.matches('.user') ? 'user: ' : 'assistant: ') + m.querySelector('.said').textContent)
		.filter((text) => !text.endsWith(': '))`)
}

// isWhole expects that a page shows what the Hub has in its books: nothing is lost, and nothing is there twice.
func (p *page) isWhole(session *codertest.SessionControl) {
	p.t.Helper()
	var all []string
	for _, e := range session.Entries() {
		switch e.Type {
		case coder.EntryUserPrompt:
			all = append(all, "user: "+e.Content)
		case coder.EntryMessage:
			all = append(all, "assistant: "+e.Content)
		}
	}
	assert.Equal(p.t, all, p.said())
}

// quoted is a text as an expression.
func quoted(text string) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(data)
}
