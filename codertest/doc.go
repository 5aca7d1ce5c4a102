// Package codertest has a fake Coder Hub for the tests of programs that use
// package coder, as net/http/httptest has servers for programs that use
// net/http.
//
// A [Hub] remembers: what a program creates it finds again, can search, page
// through, change, archive and delete. It is deterministic: ids count from 1,
// and nothing happens because time passes, except with [WithAgentPace].
//
// A session moves on each time a client has looked at it: of three GET requests
// for a session that has just been created the first sees it creating, the
// second provisioning and the third active. A session that was resumed is seen
// resuming, then active. A loop moves on each time its state is read, and the
// snapshot of a workspace each time the workspace is read: queued, building,
// ready. Lists move nothing on.
//
// # Testing your own agent
//
// A whole test, the agent, its client and the Hub, fits into a testing/synctest
// bubble, where time is fake: waits and timeouts of any length cost nothing.
// This needs the in-memory network, and a Hub that is started and closed inside
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
//			// The Hub is unavailable when the agent first calls.
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
// Without a bubble leave the option out. The Hub then listens on a loopback port,
// and programs in any language can reach it at [Hub.URL].
//
// # Testing an agent that follows a session
//
// The Hub serves both live channels: streams of events, which observers read,
// and WebSockets for observers, controllers and leads. Everybody who follows a
// session is told what happens to it, whoever makes it happen.
//
//	hub.Session(id).Emit(codertest.Event{Event: coder.EventTurnEnd}) // an event for followers and history
//	hub.Session(id).CutStreams()                                     // does the agent reconnect?
//	hub.Session(id).StallStreams()                                   // does it notice the silence?
//	hub.Session(id).SendRaw("event: broadcast\ndata: {\n\n")         // does it survive invalid JSON?
//	hub.Session(id).RefuseStreams(codertest.Refusal{Count: 3})
//	hub.Session(id).Shutdown() // session_shutdown, and the end of the stream
//
// [SessionControl.Streams] tells how many live connections are open, so that a
// test sees whether its agent has closed what it has opened. A client that reads
// slowly delays nobody else: messages wait for it, and its connection is cut when
// more wait than [WithStreamQueue] allows.
//
// # Testing an agent that steers a session
//
// The Hub's own agent leads a session that no program leads. It answers the
// commands of controllers, always in the same way. Given a prompt, it repeats it
// in pieces, calls a tool and says that it is done. If the prompt has the word
// confirm, select or input, it first asks for a confirmation, a selection or an
// input, and waits for the answer. It can be steered and aborted, and queues
// what is to follow. Everything it says is in the conversation and the history
// afterwards.
//
// If the sandbox or the session ends in the middle of a turn, the agent aborts
// the turn first, so that message_end, turn_end and agent_end always come. For a
// program that leads, the Hub sends no such events: when it disconnects, only
// session_leave tells of it.
//
// By default a whole turn happens at once. [WithAgentPace] gives a test the time
// to interrupt it:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(time.Second))
//	...
//	conn.Prompt(ctx, "Rename the package, but confirm it first")
//	// agent_start, turn_start, message_start, message_update..., message_end,
//	// then an rpc_ui_request that the program under test has to answer
//
// Observers are sent the events of an agent under their names, and controllers
// are sent them wrapped as rpc_event. With [WithEventReplay] a controller that
// connects is sent past events again, as a real Hub may do. A program must not
// take them for new ones.
//
// A program that connects as a lead replaces the Hub's agent: the Hub relays
// commands to it, and what it reports to the others. [Hub.OnRequest] says how its
// requests are answered, [Hub.SetInit] what its init message has, and
// [SessionControl.Files] what it has written. [SessionControl.Frames] returns
// every message that came over a socket, whoever sent it.
//
// # What a test can do to the Hub
//
// [Hub.Session] controls one session: it pauses, ends or archives it, adds to
// its history, its conversation and its participants, sets the state of its
// loop, scripts what each of the next requests for it sees, and breaks its live
// connections. [Hub.Inject] makes requests fail, before or after they had their
// effect, those that open a live connection included. [Hub.RefuseStreams] turns
// away clients that want to follow a session. [Hub.Requests] returns the requests
// the Hub has received. [Hub.AddUser] and [Hub.AddGitHubAccount] add what no
// client can create. [WithAPIKey] makes the Hub refuse clients without the key.
//
// # Limits
//
// No real agent runs. Apart from the answers to controllers, a session says only
// what a test makes it say. The task it was created with has no effect, and
// files, commands and environments are ignored. There is one organization with
// one owner, who may do everything. Every dependency that could be the name of a
// package is accepted, unless it begins with "no-such-".
package codertest
