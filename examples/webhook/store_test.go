package main

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sampleJob(t *testing.T) *job {
	t.Helper()
	rules := &rules{secret: []byte(secret), command: "/coder", from: []string{"MEMBER"}, workspace: "ws_1"}
	j, ignored, err := rules.read("issue_comment", sampleComment(1, command))
	require.NoError(t, err)
	require.NotNil(t, j, ignored)
	j.delivery = delivery(1)
	return j
}

// TestStore: what goes in comes out, after the file was closed too.
func TestStore(t *testing.T) {
	name := filepath.Join(t.TempDir(), "50% of #1? ok", "webhook.db")
	require.NoError(t, os.Mkdir(filepath.Dir(name), 0o700))
	s, err := openStore(t.Context(), name, true)
	require.NoError(t, err)
	j := sampleJob(t)
	added, err := s.add(t.Context(), j)
	require.NoError(t, err)
	assert.True(t, added)
	added, err = s.add(t.Context(), j)
	require.NoError(t, err)
	assert.False(t, added)
	jobs, err := s.all(t.Context())
	require.NoError(t, err)
	require.Len(t, jobs, 1)
	got := jobs[0]
	want := *j
	want.id, want.state, want.received = 1, received, got.received
	assert.Equal(t, &want, got)
	assert.Less(t, time.Since(got.received), time.Hour)
	got.state, got.attempts, got.next, got.ended = ran, 3, moment(1_800_000_000_123), moment(1_700_000_000_001)
	got.session, got.outcome, got.succeeded, got.answer, got.reason = "codesess_1", "failed", true, "it's 'é'\x00", "because"
	require.NoError(t, s.save(t.Context(), got))
	require.NoError(t, s.close())

	if runtime.GOOS != "windows" {
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	s, err = openStore(t.Context(), name, false)
	require.NoError(t, err)
	jobs, err = s.next(t.Context(), 10)
	require.NoError(t, err)
	assert.Equal(t, []*job{got}, jobs)
	var mode string
	require.NoError(t, s.db.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
	assert.Equal(t, "wal", mode)
	require.NoError(t, s.db.QueryRowContext(t.Context(), "PRAGMA synchronous").Scan(&mode))
	assert.Equal(t, "2", mode, "a commit survives a loss of power")
	require.NoError(t, s.close())
}

// TestStore_Order: what is due first comes first, and what is over not at all.
func TestStore_Order(t *testing.T) {
	s, err := openStore(t.Context(), filepath.Join(t.TempDir(), "webhook.db"), true)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	later := milliseconds(time.Now().Add(time.Hour))
	for n, row := range []struct {
		state state
		next  int64
	}{{answered, 0}, {received, later}, {ran, 1000}, {givenUp, 0}, {received, 0}, {ran, 0}} {
		j := sampleJob(t)
		j.commentID = int64(n)
		_, err := s.add(t.Context(), j)
		require.NoError(t, err)
		j.id, j.state, j.next = int64(n+1), row.state, moment(row.next)
		require.NoError(t, s.save(t.Context(), j))
	}
	order := func(most int) (ids []int64) {
		jobs, err := s.next(t.Context(), most)
		require.NoError(t, err)
		for _, j := range jobs {
			ids = append(ids, j.id)
		}
		return ids
	}
	assert.Equal(t, []int64{5, 6, 3, 2}, order(10))
	assert.Equal(t, []int64{5, 6}, order(2))
	require.NoError(t, s.resume(t.Context(), false))
	assert.Equal(t, []int64{5, 6, 3, 2}, order(10))
	jobs, err := s.all(t.Context())
	require.NoError(t, err)
	assert.LessOrEqual(t, time.Until(jobs[1].next), settles, "nothing waits for long after a start")
	assert.Equal(t, moment(1000), jobs[2].next, "and nothing for longer than before")
	require.NoError(t, s.resume(t.Context(), true))
	assert.Equal(t, []int64{4, 5, 6, 3, 2}, order(10))
}

// TestStore_Refused: the files of others stay what they are, byte by byte.
func TestStore_Refused(t *testing.T) {
	database := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, name string) {
			t.Helper()
			db, err := sql.Open("sqlite", name)
			require.NoError(t, err)
			for _, statement := range statements {
				_, err := db.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}
			require.NoError(t, db.Close())
		}
	}
	for name, test := range map[string]struct {
		file func(*testing.T, string)
		says string
	}{
		"a text": {func(t *testing.T, name string) {
			t.Helper()
			require.NoError(t, os.WriteFile(name, []byte("This is no database, and long enough to be one: "+fmt.Sprint(make([]int, 1000))), 0o600))
		}, "file is not a database"},
		"a database of others":               {database("CREATE TABLE customer (name TEXT)"), "is a database of another program"},
		"a database of others with versions": {database("PRAGMA user_version = 1"), "is a database of another program"},
		"a database with another id":         {database("PRAGMA application_id = 77"), "is a database of another program"},
		"a newer one": {
			database(fmt.Sprintf("PRAGMA application_id = %d", applicationID), "PRAGMA user_version = 9", "CREATE TABLE job (id INTEGER)"),
			fmt.Sprintf("is of a newer version of this program: its schema is 9, known are those up to %d", len(migrations)),
		},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "some.db")
			test.file(t, file)
			before, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, exclusive := range []bool{true, false} {
				_, err = openStore(t.Context(), file, exclusive)
				require.ErrorContains(t, err, test.says)
				require.ErrorContains(t, err, file)
			}
			after, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.Equal(t, before, after)
		})
	}
	_, err := openStore(t.Context(), filepath.Join(t.TempDir(), "nowhere", "webhook.db"), true)
	require.ErrorIs(t, err, os.ErrNotExist)
	name := filepath.Join(t.TempDir(), "webhook.db")
	_, err = openStore(t.Context(), name, false)
	require.ErrorIs(t, err, os.ErrNotExist, "-list makes no database")
	assert.NoFileExists(t, name)
}

// TestStore_OneReceiver: two would both create sessions. -list may look meanwhile.
func TestStore_OneReceiver(t *testing.T) {
	name := filepath.Join(t.TempDir(), "webhook.db")
	first, err := openStore(t.Context(), name, true)
	require.NoError(t, err)
	_, err = openStore(t.Context(), name, true)
	require.ErrorContains(t, err, "webhook.db is in use by another receiver")
	_, err = first.add(t.Context(), sampleJob(t))
	require.NoError(t, err)
	look, err := openStore(t.Context(), name, false)
	require.NoError(t, err)
	jobs, err := look.all(t.Context())
	require.NoError(t, err)
	assert.Len(t, jobs, 1)
	require.NoError(t, look.close())
	require.NoError(t, first.close())
	second, err := openStore(t.Context(), name, true)
	require.NoError(t, err)
	require.NoError(t, second.close())
}

// TestStore_NoLock: what hinders the lock is told as it is.
func TestStore_NoLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "webhook.db")
	require.NoError(t, os.Mkdir(name+"-lock", 0o700))
	_, err := openStore(t.Context(), name, true)
	require.ErrorContains(t, err, "webhook.db-lock cannot be locked: ")
}
