package main

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite" // the driver, in pure Go

	"github.com/agentuity/coder-go"
)

// job is a comment that asks for something, and what has become of it: a row of the database.
type job struct {
	id                      int64
	key                     string // of the session, and of the answer
	delivery                string // that was the first to bring it
	repositoryID, commentID int64
	repository              string // owner/name
	number                  int64  // of the issue or pull request
	url                     string // of the comment
	written                 time.Time
	request                 coder.CreateSessionRequest

	state    state
	attempts int       // that have failed since the state began
	next     time.Time // when to try again
	received time.Time
	ended    time.Time // of the session, zero: not yet

	session   string // empty: not known yet
	outcome   string
	succeeded bool
	answer    string
	reason    string // why it did not succeed, or why there is no answer
}

// state is how far a job is. It is written down when a step is over, so that after a kill the step is made again: each of them
// finds out by itself what it has done already.
type state string

const (
	received state = "received" // there may be a session: it is found by its key
	ran      state = "ran"      // the outcome is known; there may be an answer: it is found by its marker
	answered state = "answered"
	givenUp  state = "given up" // the forge does not take the answer
)

// migrations are the steps from one version of the schema to the next. Each version is the number of those that were made.
var migrations = []string{`
CREATE TABLE IF NOT EXISTS job (
	id            INTEGER PRIMARY KEY,
	key           TEXT NOT NULL,
	delivery      TEXT NOT NULL,
	repository_id INTEGER NOT NULL,
	comment_id    INTEGER NOT NULL,
	repository    TEXT NOT NULL,
	number        INTEGER NOT NULL,
	url           TEXT NOT NULL,
	written       INTEGER NOT NULL, -- times are milliseconds since 1970, 0 is none
	request       TEXT NOT NULL,    -- JSON, as the Hub gets it
	state         TEXT NOT NULL CHECK (state IN ('received', 'ran', 'answered', 'given up')),
	attempts      INTEGER NOT NULL DEFAULT 0,
	next          INTEGER NOT NULL DEFAULT 0,
	received      INTEGER NOT NULL,
	ended         INTEGER NOT NULL DEFAULT 0,
	session       TEXT NOT NULL DEFAULT '',
	outcome       TEXT NOT NULL DEFAULT '',
	succeeded     INTEGER NOT NULL DEFAULT 0,
	answer        TEXT NOT NULL DEFAULT '',
	reason        TEXT NOT NULL DEFAULT '',
	UNIQUE (repository_id, comment_id)
) STRICT;
CREATE INDEX IF NOT EXISTS unfinished ON job (next, id) WHERE state IN ('received', 'ran');
`}

// applicationID marks the databases of this program: "hook".
const applicationID = 0x686f6f6b

// sqliteBusy is the code SQLITE_BUSY: somebody else has the lock.
const sqliteBusy = 5

// store is the database. It has one connection: there is little to write, and SQLite has one writer at a time anyway.
type store struct {
	db   *sql.DB
	lock *sql.DB // held for as long as jobs are worked on
}

// openStore opens a database, and creates it if there is none. With exclusive, no other program can do so at the same time: two
// that work on the same jobs could both create a session for one.
func openStore(ctx context.Context, name string, exclusive bool) (*store, error) {
	if exclusive {
		// Comments and answers are no business of others on the machine.
		file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		_ = file.Close() // nothing was written
	} else if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	s := &store{}
	err := s.open(ctx, name, exclusive)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *store) open(ctx context.Context, name string, exclusive bool) (err error) {
	if exclusive {
		// The system releases the lock when the program ends, however it does.
		if s.lock, err = connect(name+"-lock", 0); err != nil {
			return err
		}
		_, err := s.lock.ExecContext(ctx, "BEGIN EXCLUSIVE")
		var busy *sqlite.Error
		switch {
		case errors.As(err, &busy) && busy.Code() == sqliteBusy:
			return fmt.Errorf("%s is in use by another receiver", name)
		case err != nil:
			return fmt.Errorf("%s-lock cannot be locked: %w", name, err)
		}
	}
	if s.db, err = connect(name, 10*time.Second); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	// Not before: it changes the file, which may have been another's.
	_, err = s.db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
	return err
}

// connect opens a file, with a wait for a lock that another connection has.
func connect(name string, wait time.Duration) (*sql.DB, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	path = filepath.ToSlash(path)
	if !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	options := url.Values{
		"_pragma": {fmt.Sprintf("busy_timeout(%d)", wait.Milliseconds()), "synchronous(FULL)"}, // a commit survives a loss of power
		"_txlock": {"immediate"},
	}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+options.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

func (s *store) close() error {
	var errs []error
	for _, db := range []*sql.DB{s.db, s.lock} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// migrate brings the schema to the newest version. Its errors go on after the name of the file.
func (s *store) migrate(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("cannot be opened: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	var owner, version, tables int
	err = cmp.Or(
		tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&owner),
		tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version),
		tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables),
	)
	switch {
	case err != nil:
		return fmt.Errorf("is no database: %w", err)
	case owner == 0 && version == 0 && tables == 0: // it is new
	case owner != applicationID:
		return errors.New("is a database of another program")
	case version > len(migrations):
		return fmt.Errorf("is of a newer version of this program: its schema is %d, known are those up to %d", version, len(migrations))
	case version == len(migrations):
		return nil
	}
	for _, step := range append(migrations[version:len(migrations):len(migrations)],
		fmt.Sprintf("PRAGMA application_id = %d", applicationID), fmt.Sprintf("PRAGMA user_version = %d", len(migrations))) {
		if _, err := tx.ExecContext(ctx, step); err != nil {
			return fmt.Errorf("cannot be brought to the newest schema: %w", err)
		}
	}
	return tx.Commit()
}

// add adds a job, and reports whether there is something to do: it was not known yet, or its answer was given up, and whoever
// delivers it again wants it now.
func (s *store) add(ctx context.Context, j *job) (bool, error) {
	request, err := json.Marshal(j.request)
	if err != nil {
		return false, err
	}
	result, err := s.db.ExecContext(ctx, `
INSERT INTO job (key, delivery, repository_id, comment_id, repository, number, url, written, request, state, received)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (repository_id, comment_id) DO UPDATE SET state = 'ran', attempts = 0, next = 0 WHERE state = 'given up'`,
		j.key, j.delivery, j.repositoryID, j.commentID, j.repository, j.number, j.url, milliseconds(j.written), string(request), received, milliseconds(time.Now()))
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

const columns = `SELECT id, key, delivery, repository_id, comment_id, repository, number, url, written, request, state, attempts, next,
	received, ended, session, outcome, succeeded, answer, reason FROM job `

// next returns at most so many unfinished jobs, those first that are due first.
func (s *store) next(ctx context.Context, most int) ([]*job, error) {
	return s.query(ctx, columns+"WHERE state IN ('received', 'ran') ORDER BY next, id LIMIT ?", most)
}

func (s *store) all(ctx context.Context) ([]*job, error) { return s.query(ctx, columns+"ORDER BY id") }

func (s *store) query(ctx context.Context, query string, arguments ...any) (jobs []*job, err error) {
	rows, err := s.db.QueryContext(ctx, query, arguments...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		j := &job{}
		var written, next, received, ended int64
		var request string
		if err := rows.Scan(&j.id, &j.key, &j.delivery, &j.repositoryID, &j.commentID, &j.repository, &j.number, &j.url, &written, &request,
			&j.state, &j.attempts, &next, &received, &ended, &j.session, &j.outcome, &j.succeeded, &j.answer, &j.reason); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(request), &j.request); err != nil {
			return nil, fmt.Errorf("job %d: %w", j.id, err)
		}
		j.written, j.next, j.received, j.ended = moment(written), moment(next), moment(received), moment(ended)
		jobs = append(jobs, j)
	}
	return jobs, rows.Err()
}

// save writes down what has become of a job.
func (s *store) save(ctx context.Context, j *job) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE job SET state = ?, attempts = ?, next = ?, ended = ?, session = ?, outcome = ?, succeeded = ?, answer = ?, reason = ? WHERE id = ?`,
		j.state, j.attempts, milliseconds(j.next), milliseconds(j.ended), j.session, j.outcome, j.succeeded, j.answer, j.reason, j.id)
	return err
}

// unfinished counts the jobs that are not over.
func (s *store) unfinished(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM job WHERE state IN ('received', 'ran')").Scan(&n)
	return n, err
}

// resume lets what waits for its time go on soon, and with givenUp also what was given up. What was begun right before keeps its
// lease.
func (s *store) resume(ctx context.Context, givenUp bool) error {
	_, err := s.db.ExecContext(ctx, `
UPDATE job SET state = CASE state WHEN 'given up' THEN 'ran' ELSE state END, attempts = 0, next = min(next, ?)
WHERE state IN ('received', 'ran') OR state = 'given up' AND ?`, milliseconds(time.Now().Add(settles)), givenUp)
	return err
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
