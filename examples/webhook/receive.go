package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"
)

// mostBody is how many bytes of a delivery are read, since anybody can send them: enough for the longest comment on the longest
// issue that GitHub takes, with every character escaped.
const mostBody = 2 << 20

// receiver takes the deliveries of a forge. It answers when a delivery is in the database, and not when its work is done: a forge
// waits for seconds, and then calls the delivery failed.
type receiver struct {
	rules *rules
	store *store
	log   *slog.Logger
	wake  func() // called when there is work
}

func newReceiver(rules *rules, store *store, log *slog.Logger, wake func()) http.Handler {
	r := &receiver{rules: rules, store: store, log: log, wake: wake}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", r.serve)
	mux.HandleFunc("GET /healthz", r.health)
	return mux
}

// verdict is how a delivery is answered.
type verdict struct {
	status int
	says   string
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	v := r.receive(w, req)
	level, attributes := slog.LevelInfo, []slog.Attr{slog.Int("status", v.status), slog.String("because", v.says)}
	if v.status >= 400 {
		level = slog.LevelWarn
	}
	if v.status != http.StatusUnauthorized && deliveryID.MatchString(req.Header.Get("X-GitHub-Delivery")) {
		attributes = append(attributes, slog.String("delivery", req.Header.Get("X-GitHub-Delivery")))
	}
	r.log.LogAttrs(req.Context(), level, "delivery", attributes...)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(v.status)
	_, _ = io.WriteString(w, v.says+"\n") // GitHub shows it among the recent deliveries
}

// deliveryID is what may stand in the log.
var deliveryID = regexp.MustCompile(`^[A-Za-z0-9-]{1,100}$`)

func (r *receiver) receive(w http.ResponseWriter, req *http.Request) verdict {
	if kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return verdict{http.StatusUnsupportedMediaType, "the content type must be application/json: choose it in the settings of the webhook"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, mostBody))
	event, id := req.Header.Get("X-GitHub-Event"), req.Header.Get("X-GitHub-Delivery")
	switch {
	case errors.As(err, new(*http.MaxBytesError)):
		return verdict{http.StatusRequestEntityTooLarge, "the body is longer than 2 MB"}
	case err != nil:
		return verdict{http.StatusBadRequest, "the body could not be read"}
	case !isSigned(req.Header.Get("X-Hub-Signature-256"), r.rules.secret, body):
		return verdict{http.StatusUnauthorized, "X-Hub-Signature-256 is missing or wrong: is the secret of the webhook that of WEBHOOK_SECRET?"}
	case event == "":
		return verdict{http.StatusBadRequest, "the header X-GitHub-Event is missing"}
	case !deliveryID.MatchString(id):
		return verdict{http.StatusBadRequest, "the header X-GitHub-Delivery is missing, or no id"}
	case event == "ping":
		return verdict{http.StatusOK, "pong"}
	}
	j, ignored, err := r.rules.read(event, body)
	switch {
	case err != nil:
		return verdict{http.StatusBadRequest, err.Error()}
	case j == nil:
		return verdict{http.StatusOK, ignored}
	}
	j.delivery = id
	// What has arrived is kept, also if the forge has hung up meanwhile.
	added, err := r.store.add(context.WithoutCancel(req.Context()), j)
	switch {
	case err != nil:
		r.log.ErrorContext(req.Context(), "the delivery cannot be stored", "delivery", id, "error", err)
		return verdict{http.StatusServiceUnavailable, "the delivery could not be stored: deliver it again"}
	case !added:
		return verdict{http.StatusOK, "the comment is known already"}
	}
	r.wake()
	return verdict{http.StatusAccepted, "accepted"}
}

// isSigned reports whether a header has the signature of a body. Neither event nor id of a delivery is signed, so that nothing
// depends on them but what is told.
func isSigned(header string, secret, body []byte) bool {
	digits, found := strings.CutPrefix(header, "sha256=")
	given, err := hex.DecodeString(digits)
	return found && err == nil && hmac.Equal(given, signature(secret, body)) // in constant time
}

func signature(secret, body []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	return mac.Sum(nil)
}

func (r *receiver) health(w http.ResponseWriter, req *http.Request) {
	if _, err := r.store.unfinished(req.Context()); err != nil {
		r.log.ErrorContext(req.Context(), "the database cannot be read", "error", err)
		http.Error(w, "the database cannot be read", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n")
}
