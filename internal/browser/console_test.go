package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// pace is slow enough to see an answer grow, and to interrupt it.
const pace = 200 * time.Millisecond

// long is an answer in the twelve pieces that the Hub's agent has for one.
var long = strings.TrimSpace(strings.Repeat("one two three four five six seven eight nine ten ", 30))

// TestConsole does with the mouse what there is to do with a session.
func TestConsole(t *testing.T) {
	c := opens(t, codertest.WithAgentPace(pace))
	c.hub.Answer(codertest.AgentTurn{Thinking: "Let me see.", Text: long, Tools: []codertest.AgentTool{{Name: "bash", Args: map[string]any{"command": "ls"}, Result: "a\nb"}}},
		codertest.AgentTurn{Text: "That was it."})
	p := shows(t, c.url, wide)

	// Start one, and see its answer being written.
	p.types("#task", "Count")
	p.types("#label-of-new", "Counting")
	p.clicks(".start button")
	p.until("document.querySelector('.message.assistant.writing .said')?.textContent.length > 20")
	p.until("document.querySelector('.message.assistant.writing .said')?.textContent.length > 200")
	assert.Equal(t, "Working", p.text("#status"))
	p.untilState("Done")
	session := c.session()
	p.isWhole(session)
	assert.Equal(t, "Counting", p.text("#label"))
	p.until(`document.querySelector('#buckets a[aria-current]')?.textContent.includes('active')`)
	assert.Contains(t, p.text("#buckets"), "Counting")
	p.clicks(".tool summary")
	assert.Equal(t, "a\nb", p.text(".tool .result"))
	p.clicks(".thinking:not([hidden]) summary")
	assert.Equal(t, "Let me see.", p.text(".thinking:not([hidden]) .text"))

	// Steer it.
	session.Answer(codertest.AgentTurn{Text: long, Tools: []codertest.AgentTool{{Name: "read"}}})
	p.types("#text", "Count again")
	p.clicks("#send")
	p.untilState("Working")
	p.until("document.querySelector('#text').value === ''")
	assert.Equal(t, "Steer", p.text("#send"))
	p.types("#text", "to five")
	p.clicks("#send")
	p.until("document.querySelector('#pending li')?.textContent.includes('to five')")
	p.untilState("Done")
	p.until("!document.querySelector('#pending li')")
	p.isWhole(session)
	assert.Contains(t, p.said(), "user: to five")

	// Restart the Hub in the middle.
	session.Answer(codertest.AgentTurn{Text: long})
	p.types("#text", "Once more")
	p.clicks("#send")
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 20")
	before := evaluate[string](p, "document.querySelector('.message:last-child .said').textContent")
	down := c.hub.Restart(300*time.Millisecond, codertest.Outage{})
	p.untilState("The Hub is away. Reconnecting…")
	p.until("document.querySelector('.message:last-child .said').textContent.startsWith(" + quoted(before) + ")")
	<-down.Over()
	p.untilState("Working")
	p.until("document.querySelector('.message:last-child.writing .said')?.textContent.length > " + fmt.Sprint(len(before)+100))
	after := evaluate[string](p, "document.querySelector('.message:last-child .said').textContent")
	assert.True(t, strings.HasPrefix(after, before), "what was seen should stay: %s", after)
	p.untilState("Done")
	p.isWhole(session)

	// Answer a question.
	session.Answer(codertest.AgentTurn{Text: "May I?", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "confirm", Params: map[string]any{"title": "Push the tag?", "message": "It cannot be taken back."},
	}}}}, codertest.AgentTurn{Text: "Pushed."})
	p.types("#text", "Release it")
	p.clicks("#send")
	p.untilState("Waiting for an answer")
	p.until("document.querySelector('#question legend')?.textContent === 'Push the tag?'")
	p.clicks("#question button[value=yes]")
	p.untilState("Done")
	p.until("document.querySelector('#question').hidden")
	p.isWhole(session)
	assert.Contains(t, frames(session, "rpc_ui_response"), `"result":true`)

	// Stop it.
	session.Answer(codertest.AgentTurn{Text: long})
	p.types("#text", "Count for ever")
	p.clicks("#send")
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 50")
	p.clicks("#abort")
	p.until("document.querySelector('.message:last-child .ended')?.textContent === 'Stopped.'")
	p.untilState("Done")

	// Archive it.
	p.clicks("#archive")
	p.clicks("#sure button[value=yes]")
	p.untilState("Over")
	assert.True(t, session.Archived())
	p.until("document.querySelector('#say').hidden")
	assert.Equal(t, "This session is over. It can only be read.", p.text("#rest"))
}

// frames are what came over the sockets of a session, of one type.
func frames(session *codertest.SessionControl, kind string) string {
	var all strings.Builder
	for _, f := range session.Frames() {
		if f.Type == kind {
			all.Write(f.Body)
		}
	}
	return all.String()
}

// TestKeyboard does it without a mouse.
func TestKeyboard(t *testing.T) {
	c := opens(t, codertest.WithAgentPace(pace))
	p := shows(t, c.url, wide)
	ctrl := chromedp.KeyModifiers(chromedp.ModifierCtrl)
	p.until("document.activeElement?.id === 'task'")
	p.presses("Say hello")
	p.presses(kb.Enter, ctrl)
	p.untilState("Done")
	session := c.session()

	session.Answer(codertest.AgentTurn{Text: "Well.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "select", Params: map[string]any{"title": "Which?", "options": []string{"red", "blue"}},
	}}}}, codertest.AgentTurn{Text: long})
	p.tabs("#text")
	p.presses("Ask me")
	p.presses(kb.Enter, ctrl)
	p.untilState("Waiting for an answer")
	p.until("!document.querySelector('#question').hidden")
	p.tabs("#question button[value=blue]")
	p.presses(kb.Enter)
	p.until("document.querySelector('#question').hidden")
	p.until("document.activeElement?.id === 'text'") // not lost with the button
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 50")
	p.presses("stop there")
	p.presses(kb.Enter, ctrl)
	p.until("document.querySelector('#pending li') !== null")
	p.tabs("#abort")
	p.presses(" ")
	p.until("document.querySelector('.message .ended:not([hidden])')?.textContent === 'Stopped.'")
	assert.Contains(t, frames(session, "rpc_ui_response"), `"result":"blue"`)

	p.tabs("#archive")
	p.presses(kb.Enter)
	p.until("document.querySelector('#sure').open")
	p.presses(kb.Escape)
	p.until("!document.querySelector('#sure').open && document.activeElement?.id === 'archive'")
	assert.False(t, session.Archived())
	p.presses(kb.Enter)
	p.until("document.querySelector('#sure').open")
	p.tabs("#sure button[value=yes]")
	p.presses(kb.Enter)
	p.untilState("Over")

	p.tabs(".skip")
	p.tabs("nav .new")
	p.presses(kb.Enter)
	p.until("document.activeElement?.id === 'task'")
}

// TestControlEnter presses the button that has the focus, and no other.
func TestControlEnter(t *testing.T) {
	c := opens(t)
	session := c.hub.AddSession(codertest.Session{Task: "Be there"})
	session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
		Method: "confirm", Params: map[string]any{"title": "Push the tag?"},
	}}}})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.untilState("Ready")
	p.types("#text", "Release it")
	p.clicks("#send")
	p.until("!document.querySelector('#question').hidden")
	p.tabs("#question button[value=no]")
	p.presses(kb.Enter, chromedp.KeyModifiers(chromedp.ModifierCtrl))
	p.until("document.querySelector('#question').hidden")
	p.untilState("Done")
	assert.Contains(t, frames(session, "rpc_ui_response"), `"result":false`)
}

// TestStopped says of what waited for the agent that it was not taken, and leaves nothing in the field that was sent.
func TestStopped(t *testing.T) {
	c := opens(t, codertest.WithAgentPace(pace))
	session := c.hub.AddSession(codertest.Session{Task: "Be there"})
	session.Answer(codertest.AgentTurn{Text: long})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.untilState("Ready")
	p.types("#text", "Count")
	p.clicks("#send")
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 20")
	p.until("document.querySelector('#text').value === ''")
	p.types("#text", "later")
	evaluate[chromedp.Void](p, "document.querySelector('#queue').click(), document.querySelector('#text').value += ' and more'") // who types on meanwhile
	p.until("document.querySelector('#queue').ariaDisabled !== 'true'")
	assert.Equal(t, "and more", evaluate[string](p, "document.querySelector('#text').value"))
	assert.Equal(t, "queued", p.text("#pending .tag"))
	p.clicks("#abort")
	p.untilState("Done")
	assert.Equal(t, "not taken", p.text("#pending .tag"))
}

// TestScripts shows what is written from right to left that way, and says to screen readers who has said what.
func TestScripts(t *testing.T) {
	c := opens(t)
	const hebrew = "שלום עולם"
	session := c.hub.AddSession(codertest.Session{Label: hebrew, Task: "x", Entries: []codertest.ReplayEntry{
		{Type: coder.EntryUserPrompt, Content: hebrew},
		{Type: coder.EntryMessage, Content: hebrew},
	}})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.untilState("Done")
	for _, where := range []string{"#label", "nav .label", ".message.user .said", ".message.assistant .said"} {
		assert.Equal(t, "rtl", evaluate[string](p, fmt.Sprintf("getComputedStyle(document.querySelector(%q)).direction", where)), where)
	}
	assert.True(t, evaluate[bool](p, "document.querySelector('.message.user .who').checkVisibility()"))
	assert.Equal(t, "You", p.text(".message.user .who"))
}

// TestPagesComeAndGo shows one session twice, loads a page in the middle of an answer, and starts the console anew.
func TestPagesComeAndGo(t *testing.T) {
	c := opens(t, codertest.WithAgentPace(pace))
	c.hub.Answer(codertest.AgentTurn{Text: long}, codertest.AgentTurn{Text: "That was it."})
	p := shows(t, c.url, wide)
	p.types("#task", "Count")
	p.clicks(".start button")
	p.until("document.querySelector('.message.assistant.writing .said')?.textContent.length > 100")
	session := c.session()
	other := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.does(chromedp.Reload())
	p.untilState("Done")
	other.untilState("Done")
	p.isWhole(session)
	other.isWhole(session)

	session.Answer(codertest.AgentTurn{Text: long})
	evaluate[chromedp.Void](other, "dispatchEvent(new Event('pagehide'))") // somebody has left the page,
	p.types("#text", "Go on")
	p.clicks("#send")
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 20")
	assert.NotEqual(t, p.said(), other.said())
	evaluate[chromedp.Void](other, "dispatchEvent(new Event('pageshow'))") // and comes back to it
	p.untilState("Done")
	other.untilState("Done")
	other.isWhole(session)

	c.hub.Answer(codertest.AgentTurn{Text: long})
	p.types("#text", "Count again")
	p.clicks("#send")
	p.until("document.querySelector('.message:last-child.assistant.writing .said')?.textContent.length > 100")
	c.ends()
	p.untilState("The console does not answer. Trying again…")
	c.starts(strings.TrimPrefix(c.url, "http://"))
	p.untilState("Done")
	other.untilState("Done")
	p.isWhole(session)
	other.isWhole(session)
	p.forgives("net::ERR_") // the console was away
	other.forgives("net::ERR_")
}

// TestWidths looks at both pages on screens from small to wide: nothing sticks out, and nothing is too small for a finger.
func TestWidths(t *testing.T) {
	c := opens(t)
	word := strings.Repeat("Donaudampfschifffahrt", 20)
	samples(c.hub)
	session := c.hub.AddSession(codertest.Session{Label: word, Task: "x", Entries: []codertest.ReplayEntry{
		{Type: coder.EntryUserPrompt, Content: word},
		{Type: coder.EntryToolCall, Members: map[string]any{"toolName": "bash", "toolCallId": "1", "toolArgs": map[string]any{"command": word}}},
		{Type: coder.EntryToolResult, Content: word, Members: map[string]any{"toolCallId": "1"}},
		{Type: coder.EntryMessage, Content: word, Members: map[string]any{"thinking": word}},
	}})
	p := shows(t, c.url, wide)
	for _, path := range []string{"/", "/sessions/" + session.ID(), "/nowhere"} {
		p.does(chromedp.Navigate(c.url + path))
		if strings.HasPrefix(path, "/sessions/") {
			p.untilState("Done")
			evaluate[chromedp.Void](p, "document.querySelectorAll('details').forEach((d) => { d.open = true; })")
		}
		for _, width := range []int64{320, 390, 761, 1280} {
			for _, dark := range []bool{false, true} {
				p.looks(screen{width, 844, dark})
				name := fmt.Sprintf("%s at %d, dark: %v", path, width, dark)
				fits := evaluate[bool](p, "document.documentElement.scrollWidth <= innerWidth")
				assert.True(t, fits, "%s scrolls sideways", name)
				assert.Empty(t, evaluate[[]string](p, tooSmall), "%s: too small for a finger", name)
				assert.Empty(t, evaluate[[]string](p, tooPale), "%s: too little contrast", name)
			}
		}
	}
	p.forgives("/nowhere")
}

// tooSmall finds what is there to be pressed, is seen, and is not 44 pixels high.
const tooSmall = `Array.from(document.querySelectorAll('button, a, input, textarea, summary'))
	.filter((e) => e.checkVisibility() && !e.matches('.skip') && e.getBoundingClientRect().height < 43.9)
	.map((e) => e.outerHTML.slice(0, 80) + e.getBoundingClientRect().height)`

// tooPale finds texts with less contrast than 4.5 to 1 to what is behind them.
const tooPale = `(() => {
	const parse = (c) => c.match(/[\d.]+/g).map(Number);
	const light = (c) => { const f = (v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; return .2126 * f(c[0]) + .7152 * f(c[1]) + .0722 * f(c[2]); };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } return [255, 255, 255]; };
	return Array.from(document.querySelectorAll('body *'))
		.filter((e) => e.checkVisibility() && !e.matches('.mark, .skip') && Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim()))
		.map((e) => { const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x); return [(a + .05) / (b + .05), e]; })
		.filter(([ratio]) => ratio < 4.5)
		.map(([ratio, e]) => ratio.toFixed(2) + ' ' + e.outerHTML.slice(0, 80));
})()`

// TestQuestions asks for a text, with what is in the field already.
func TestQuestions(t *testing.T) {
	c := opens(t)
	session := c.hub.AddSession(codertest.Session{Task: "Be there"})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	for _, test := range []struct{ method, prefill, answer, want string }{
		{"input", "", "Ada", `"result":"Ada"`},
		{"editor", "line one\nline two", " and more", `"result":"line one\nline two and more"`},
	} {
		session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
			Method: test.method, Params: map[string]any{"title": "Tell me", "prefill": test.prefill, "placeholder": "here"},
		}}}})
		p.until("document.querySelector('#send').checkVisibility()")
		p.types("#text", "Ask for "+test.method)
		p.clicks("#send")
		p.until("document.querySelector('#question [name=text]')?.placeholder === 'here'")
		p.types("#question [name=text]", test.answer)
		p.clicks("#question .primary")
		p.until("document.querySelector('#question').hidden")
		p.untilState("Done")
		require.Contains(t, frames(session, "rpc_ui_response"), test.want)
	}
	p.isWhole(session)
}

// TestHostileText shows what an agent says as text, wherever it says it.
func TestHostileText(t *testing.T) {
	c := opens(t)
	const hostile = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
	session := c.hub.AddSession(codertest.Session{Task: "Be there", Label: hostile})
	session.Answer(codertest.AgentTurn{Text: hostile, Thinking: hostile, Tools: []codertest.AgentTool{
		{Name: hostile, Args: map[string]any{hostile: hostile}, Result: hostile},
		{Ask: &codertest.AgentQuestion{Method: "select", Params: map[string]any{"title": hostile, "message": hostile, "options": []string{hostile}}}},
	}})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.untilState("Ready")
	p.types("#text", hostile)
	p.clicks("#send")
	p.until("!document.querySelector('#question').hidden")
	p.until("document.querySelector('#buckets a[aria-current]')?.textContent.includes('<img')")
	for _, where := range []string{"#label", "#buckets", ".message.user:nth-child(2) .said", ".message.assistant .said", ".thinking:not([hidden]) .text", ".tool .name", ".tool .args", ".tool .result", "#question legend", "#question .more", "#question .option"} {
		assert.Contains(t, evaluate[string](p, fmt.Sprintf("document.querySelector(%q).textContent", where)), hostile, where)
	}
	assert.Zero(t, evaluate[int](p, "document.querySelectorAll('img:not(.brand img), body script').length"))
	assert.NotEqual(t, "taken", evaluate[string](p, "document.title"))
	p.clicks("#question .option")
	p.untilState("Done")
	p.isWhole(session)
}

// TestHubAway opens a page while the Hub is away, and sees it come back.
func TestHubAway(t *testing.T) {
	c := opens(t)
	session := c.hub.AddSession(codertest.Session{Task: "Be there", Label: "Patience"})
	down := c.hub.Restart(time.Hour, codertest.Outage{})
	p := shows(t, c.url+"/sessions/"+session.ID(), wide)
	p.untilState("The Hub does not answer. Trying again…")
	assert.Equal(t, "The Hub does not answer.", p.text("#list-problem"))
	assert.Equal(t, session.ID(), p.text("#label"), "nobody knows its label yet")
	down.End()
	p.untilState("Ready")
	p.until("document.querySelector('#label').textContent === 'Patience' && document.title === 'Patience · Console'")
	p.until("document.querySelector('#list-problem').hidden")
	p.isWhole(session)
}
