// Package codertest has a fake Coder Hub for the tests of programs that use
// package coder, as net/http/httptest has servers for programs that use
// net/http.
//
// A [Hub] remembers: what a program creates it finds again, can search, page
// through, change, archive and delete. It is deterministic: ids count from 1,
// and nothing happens by waiting. A session takes a step in its life each time
// a client has looked at it: of three GET requests for a session that has just
// been created the first sees it creating, the second provisioning and the
// third active. A session that was resumed is seen resuming, then active. The
// loop of a session in loop mode goes on in the same way each time its state
// is read, and so does the snapshot of a workspace: queued, building, ready.
// Listing moves nothing.
//
// # Testing your own agent
//
// A whole test, the agent, its client and the Hub, fits into a testing/synctest
// bubble, where time is fake: waits and timeouts of any length cost nothing.
// That takes the in-memory network, and a Hub that is started and closed inside
// the bubble.
//
//	func TestAgent(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			hub := codertest.NewHub(codertest.WithInMemoryNetwork())
//			defer hub.Close()
//			client, err := hub.NewClient()
//			if err != nil {
//				t.Fatal(err)
//			}
//			// The Hub is away when the agent first calls.
//			hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable, Count: 3})
//
//			id, err := StartReview(t.Context(), client, "pull request 7") // your agent
//			if err != nil {
//				t.Fatal(err)
//			}
//			if len(hub.SessionIDs()) != 1 {
//				t.Fatal("the agent should start one session and no more")
//			}
//			// Now the sandbox falls asleep. Does the agent wake it up?
//			hub.Session(id).Pause()
//			if err := AskForMore(t.Context(), client, id); err != nil {
//				t.Fatal(err)
//			}
//		})
//	}
//
// Without a bubble leave the option out, and the Hub listens on a loopback
// port that any program can reach at [Hub.URL], in any language.
//
// # What a test can do to the Hub
//
// [Hub.Session] controls one session: it pauses, ends or archives it, adds to
// its history, its conversation and its participants, sets the state of its
// loop, and scripts what each of the next requests for it sees.
// [Hub.Inject] makes requests fail, before or after they had their effect.
// [Hub.Requests] tells what has been asked of the Hub. [Hub.AddUser] and
// [Hub.AddGitHubAccount] add what no client can make. [WithAPIKey] makes the
// Hub refuse those who do not know the key.
//
// # Limits
//
// Agents do not run: a session says nothing that a test has not put into its
// mouth, and files, commands and environments go nowhere. There is one
// organization with one owner, who may do everything. Every dependency that
// could be the name of a package is one, unless it begins with "no-such-".
package codertest
