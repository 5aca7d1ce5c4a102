package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/agentuity/coder-go"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{"path": sessionPath}).ParseFS(templateFiles, "templates/*.html"))

// pageTime is how long a page waits for the Hub. Then it is shown without what the Hub has not said, and its script goes on waiting.
const pageTime = 2 * time.Second

// page is what the templates are given.
type page struct {
	Title   string
	Demo    bool
	List    list
	Form    form
	Session *coder.SessionListItem // nil: no session is shown
	Message string                 // of a page that is there only to say it
}

// form starts a session.
type form struct {
	Key, Task, Label string
	Problem          string
}

func newKey() string { return rand.Text() }

func sessionPath(id string) string { return "/sessions/" + url.PathEscape(id) }

// home is the form to start a session, and the list.
func (c *console) home(w http.ResponseWriter, r *http.Request) {
	c.showHome(w, r, http.StatusOK, form{Key: newKey()})
}

func (c *console) showHome(w http.ResponseWriter, r *http.Request, status int, f form) {
	c.show(w, r, status, "home", page{Title: "Sessions", Form: f})
}

// session is the page of a session. What is said in it comes over the stream of events.
func (c *console) session(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	ctx, cancel := context.WithTimeout(r.Context(), pageTime)
	defer cancel()
	found, err := c.client.GetSession(ctx, id)
	var invalid *coder.ValidationError
	switch {
	case errors.Is(err, coder.ErrSessionNotFound), errors.As(err, &invalid):
		c.show(w, r, http.StatusNotFound, "message", page{Title: "No such session", Message: "There is no session " + id + ". It may have been deleted."})
		return
	case err != nil: // the script says so, and goes on trying
		found = &coder.Session{SessionListItem: coder.SessionListItem{SessionID: id}}
	}
	c.show(w, r, http.StatusOK, "session", page{Title: labelOf(found.SessionListItem), Session: &found.SessionListItem})
}

func (c *console) nowhere(w http.ResponseWriter, r *http.Request) {
	c.show(w, r, http.StatusNotFound, "message", page{Title: "Not found", Message: "There is nothing at " + r.URL.Path + "."})
}

// show writes a page, with the list of sessions.
func (c *console) show(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	p.Demo, p.List = c.demo, c.board.recent(r.Context())
	var text bytes.Buffer // so that a page is whole or not there
	if err := templates.ExecuteTemplate(&text, name, p); err != nil {
		refuse(w, http.StatusInternalServerError, "The page cannot be written: "+err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = text.WriteTo(w) // the browser may have left
}

// static serves the script and the styles.
func static() http.Handler {
	files, err := fs.Sub(staticFiles, "static")
	if err != nil {
		panic(err) // it is a name that is no path
	}
	return http.StripPrefix("/static/", http.FileServerFS(files))
}
