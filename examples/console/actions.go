package main

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// How long the Hub may take for what a browser has asked for.
const (
	actionTime = 10 * time.Second
	startTime  = 45 * time.Second
)

// say gives the agent something to do: "steer" changes its course while it works, anything else is a prompt, which waits until
// the agent is done. Both begin the work of an agent that has none, so that it does not matter what the browser believed: a
// steer is a prompt that says how to queue it, since HubConn.Steer would leave an idle agent idle.
func (c *console) say(w http.ResponseWriter, r *http.Request) {
	text, key := strings.TrimSpace(r.FormValue("text")), r.FormValue("key")
	if text == "" || !isKey(key) {
		c.answerProblem(w, http.StatusBadRequest, errors.New("say something first"))
		return
	}
	c.act(w, r, func(ctx context.Context, id string) error {
		session, leave := c.watches.use(id)
		defer leave()
		return session.once(key, func() error {
			conn, err := session.connected(ctx)
			if err != nil {
				return err
			}
			session.conversation.Sent(text)
			if r.FormValue("how") == "steer" && session.isAtWork() {
				return conn.Send(ctx, &coder.RPCCommandMessage{Command: coder.RPCCommand{
					ID: "console-" + key, Type: coder.CommandPrompt, Message: text, StreamingBehavior: coder.QueueSteer,
				}})
			}
			_, err = conn.Submit(ctx, text)
			return err
		})
	})
}

// isAtWork reports whether the agent can be steered. One that waits after an error cannot: Submit waits with it.
func (w *watch) isAtWork() bool {
	state := w.conversation.State()
	return state == coder.ConversationWorking || state == coder.ConversationQuestion
}

// order is something that is done once, however often it is asked for.
type order struct {
	done chan struct{}
	err  error
}

func (o *order) isDone() bool {
	select {
	case <-o.done:
		return true
	default:
		return false
	}
}

// maxOrders is how many orders of a session are remembered. When there are more, those that are done are forgotten.
const maxOrders = 1000

// once does what was not done under this key yet: a browser repeats what had no answer. What has failed may be tried again.
func (w *watch) once(key string, do func() error) error {
	w.mu.Lock()
	o := w.orders[key]
	if o != nil {
		w.mu.Unlock()
		<-o.done
		return o.err
	}
	if len(w.orders) >= maxOrders {
		maps.DeleteFunc(w.orders, func(_ string, o *order) bool { return o.isDone() })
	}
	o = &order{done: make(chan struct{})}
	w.orders[key] = o
	w.mu.Unlock()
	o.err = do()
	if o.err != nil {
		w.mu.Lock()
		delete(w.orders, key)
		w.mu.Unlock()
	}
	close(o.done)
	return o.err
}

func (c *console) abort(w http.ResponseWriter, r *http.Request) {
	c.act(w, r, func(ctx context.Context, id string) error {
		session, leave := c.watches.use(id)
		defer leave()
		conn, err := session.connected(ctx)
		if err != nil {
			return err
		}
		return conn.Abort(ctx)
	})
}

func (c *console) answer(w http.ResponseWriter, r *http.Request) {
	c.act(w, r, func(_ context.Context, id string) error {
		session, leave := c.watches.use(id)
		defer leave()
		return session.reply(r.FormValue("question"), r.FormValue("text"), r.FormValue("none") != "")
	})
}

func (c *console) archive(w http.ResponseWriter, r *http.Request) {
	c.act(w, r, func(ctx context.Context, id string) error {
		_, err := c.client.ArchiveSession(ctx, id)
		return err
	})
}

func (c *console) wake(w http.ResponseWriter, r *http.Request) {
	c.act(w, r, func(ctx context.Context, id string) error {
		if _, err := c.client.ResumeSession(ctx, id); err != nil {
			return err
		}
		session, leave := c.watches.use(id)
		defer leave()
		session.lookAgain()
		return nil
	})
}

// act does something with a session for the script of the page, which shows what comes of it. It goes on if the browser leaves.
func (c *console) act(w http.ResponseWriter, r *http.Request, do func(ctx context.Context, id string) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionTime)
	defer cancel()
	err := do(ctx, r.PathValue("id"))
	c.board.soon()
	var refused *coder.ValidationError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, errNotAsked):
		c.answerProblem(w, http.StatusConflict, err)
	case errors.Is(err, errBadAnswer), errors.As(err, &refused):
		c.answerProblem(w, http.StatusBadRequest, err)
	default:
		c.answerProblem(w, http.StatusBadGateway, err)
	}
}

func (c *console) answerProblem(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": explain(err)}) // the browser may have left
}

// isKey reports whether a text can be the key of an order.
var isKey = regexp.MustCompile(`^[A-Za-z0-9]{16,64}$`).MatchString

// start starts a session, once for each form that was sent to a browser: one that sends it twice gets the same session.
func (c *console) start(w http.ResponseWriter, r *http.Request) {
	f := form{Key: r.FormValue("key"), Task: strings.TrimSpace(r.FormValue("task")), Label: strings.TrimSpace(r.FormValue("label"))}
	switch {
	case !isKey(f.Key):
		f.Key, f.Problem = newKey(), "The form was too old. Please start again."
	case f.Task == "":
		f.Problem = "Say what the agent is to do."
	}
	if f.Problem != "" {
		c.showHome(w, r, http.StatusBadRequest, f)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), startTime)
	defer cancel()
	ensured, err := c.client.EnsureSession(ctx, "console-"+f.Key, coder.CreateSessionRequest{Task: f.Task, Label: f.Label}, nil)
	if err != nil {
		f.Problem = explain(err) + " Starting it again with this form will not start it twice."
		c.showHome(w, r, http.StatusBadGateway, f)
		return
	}
	c.board.soon()
	http.Redirect(w, r, sessionPath(ensured.SessionID), http.StatusSeeOther)
}
