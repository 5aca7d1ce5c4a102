package main

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// memoryForge has the routes of a forge that this program uses, and keeps comments in memory.
type memoryForge struct {
	mu       sync.Mutex
	comments map[string][]memoryComment // of the issues, by their paths
	last     int64
}

type memoryComment struct {
	ID      int64     `json:"id"`
	Body    string    `json:"body"`
	Created time.Time `json:"created_at"`
}

func newMemoryForge() *memoryForge {
	return &memoryForge{comments: make(map[string][]memoryComment)}
}

func (f *memoryForge) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /repos/{owner}/{repo}/issues/{number}/comments", f.list)
	mux.HandleFunc("POST /repos/{owner}/{repo}/issues/{number}/comments", f.post)
	return mux
}

// list has two comments a page, so that looking through pages is seen to work.
func (f *memoryForge) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	page, _ := strconv.Atoi(r.FormValue("page")) // what is no number is the first page
	comments := f.comments[r.URL.Path]
	from := min(max(page-1, 0)*2, len(comments))
	writeJSON(w, http.StatusOK, append([]memoryComment{}, comments[from:min(from+2, len(comments))]...))
}

func (f *memoryForge) post(w http.ResponseWriter, r *http.Request) {
	var comment memoryComment
	if err := json.NewDecoder(r.Body).Decode(&comment); err != nil || comment.Body == "" {
		writeJSON(w, http.StatusUnprocessableEntity, map[string]string{"message": "Validation Failed"})
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	comment.ID, comment.Created = f.last, time.Now().UTC()
	f.comments[r.URL.Path] = append(f.comments[r.URL.Path], comment)
	writeJSON(w, http.StatusCreated, comment)
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a client that is gone needs no answer
}

// texts are the comments on the issue of the demonstration.
func (f *memoryForge) texts() (texts []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, comment := range f.comments[commentsPath(demoRepository, demoNumber)] {
		texts = append(texts, comment.Body)
	}
	return texts
}
