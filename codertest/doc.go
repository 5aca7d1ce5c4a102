// Package codertest has a fake Coder Hub for the tests of programs that use
// package coder, as net/http/httptest has servers for programs that use
// net/http.
//
// A [Hub] remembers: what a program creates it finds again, can search, page
// through, change, archive and delete. It is deterministic: ids count from 1,
// and nothing happens by waiting, save where [WithAgentPace] asks for it. A
// session takes a step in its life each time a client has looked at it: of
// three GET requests for a session that has just been created the first sees it
// creating, the second provisioning and the third active. A session that was
// resumed is seen resuming, then active. The loop of a session in loop mode
// goes on in the same way each time its state is read, and so does the snapshot
// of a workspace: queued, building, ready. Listing moves nothing.
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
// # Testing an agent that follows a session
//
// The Hub serves both live channels: streams of events, which observers read,
// and WebSockets for observers, controllers and leads. What happens to a
// session, whoever makes it happen, is told to all who follow it.
//
//	hub.Session(id).Emit(codertest.Event{Event: coder.EventTurnEnd}) // they see it, and the history has it
//	hub.Session(id).CutStreams()                             // the network breaks down: does it come back?
//	hub.Session(id).StallStreams()                           // or only falls silent: does it notice?
//	hub.Session(id).SendRaw("event: broadcast\ndata: {\n\n") // does it survive nonsense?
//	hub.Session(id).RefuseStreams(codertest.Refusal{Count: 3})
//	hub.Session(id).Shutdown() // session_shutdown, and the end of the stream
//
// [SessionControl.Streams] tells how many live connections are left, so that a
// test sees whether its agent has closed what it has opened. A client that
// does not read costs nobody else anything: its connection is cut when more
// waits for it than [WithStreamQueue] allows. Until then, a message waits.
//
// # Testing an agent that steers a session
//
// A session without a lead is led by the Hub's own agent. It answers the
// commands of controllers, and always in the same way: told something, it
// repeats it in pieces, calls a tool and says that it is done; in between it
// asks for a confirmation, a selection or an input if the prompt has the word
// confirm, select or input, and waits for the answer. It can be steered and
// aborted, queues what is to follow, and everything it says is in the
// conversation and the history afterwards. If the sandbox or the session ends
// in the middle of a turn, the turn is aborted first: message_end, turn_end and
// agent_end come also then. A lead that is a program is not helped in this way:
// when it leaves, session_leave is all that tells of it. As a rule a whole turn
// happens at once; [WithAgentPace] gives a test the time to interrupt it:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(time.Second))
//	...
//	conn.Prompt(ctx, "Rename the package, but confirm it first")
//	// agent_start, turn_start, message_start, message_update..., message_end,
//	// then an rpc_ui_request that the program under test has to answer
//
// Observers see the events of an agent by their names, controllers wrapped as
// rpc_event. With [WithEventReplay] controllers that connect hear again what
// has been, as the Hub may replay it: a program must not take that for news.
//
// A program that is itself a lead, connected with that role, takes the place of
// the Hub's agent: the Hub relays commands to it and what it reports to the
// others. Its requests are answered as [Hub.OnRequest] says, [Hub.SetInit] says
// what it finds in its init, and [SessionControl.Files] has what it has written.
// [SessionControl.Frames] has every message that came over a socket, whoever
// sent it.
//
// # What a test can do to the Hub
//
// [Hub.Session] controls one session: it pauses, ends or archives it, adds to
// its history, its conversation and its participants, sets the state of its
// loop, scripts what each of the next requests for it sees, and disturbs those
// who follow it. [Hub.Inject] makes requests fail, before or after they had
// their effect, connecting to a live channel included. [Hub.RefuseStreams]
// turns away those who want to follow a session. [Hub.Requests] tells what has
// been asked of the Hub. [Hub.AddUser] and [Hub.AddGitHubAccount] add what no
// client can make. [WithAPIKey] makes the Hub refuse those who do not know the
// key.
//
// # Limits
//
// No real agent runs: but for the answers to controllers a session says nothing
// that a test has not put into its mouth, the task it was created with has no
// consequences, and files, commands and environments go nowhere. There is one
// organization with one owner, who may do everything. Every dependency that
// could be the name of a package is one, unless it begins with "no-such-".
package codertest
