// Package codertest has a fake Coder Hub for the tests of programs that use
// package coder, as net/http/httptest has servers for programs that use
// net/http.
//
// A [Hub] remembers: a program can find, search, page through, change, archive
// and delete what it has created. The Hub is deterministic: ids count from 1,
// and nothing happens because time passes, with three exceptions. Its agent
// rests with [WithAgentPace], waits before it retries a model that has failed,
// and gives up a question after its timeout.
//
// A session moves on each time a client reads it: of three GET requests for a
// new session, the first sees the status creating, the second provisioning and
// the third active. A session that was resumed is first seen resuming, then
// active. A loop moves on each time its state is read, and the snapshot of a
// workspace each time the workspace is read: queued, building, ready. Lists do
// not move anything on.
//
// # Testing your own program
//
// A whole test, with the program, its client and the Hub, fits into a
// testing/synctest bubble, where time is fake: waits and timeouts of any length
// cost nothing. This needs the in-memory network, and a Hub that is started and
// closed inside the bubble.
//
//	func TestProgram(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			hub := codertest.NewHub(codertest.WithInMemoryNetwork())
//			defer hub.Close()
//			client, err := hub.NewClient()
//			if err != nil {
//				t.Fatal(err)
//			}
//			// The Hub is unavailable when the program first calls.
//			hub.Inject(codertest.Fault{Status: http.StatusServiceUnavailable, Count: 3})
//
//			id, err := StartReview(t.Context(), client, "pull request 7") // your program
//			if err != nil {
//				t.Fatal(err)
//			}
//			if len(hub.SessionIDs()) != 1 {
//				t.Fatal("the program should start one session and no more")
//			}
//			// Now the sandbox falls asleep. Does the program wake it up?
//			hub.Session(id).Pause()
//			if err := AskForMore(t.Context(), client, id); err != nil {
//				t.Fatal(err)
//			}
//		})
//	}
//
// Without a bubble leave the option out. The Hub then listens on a loopback port,
// or on the listener of [WithListener], and programs in any language can reach it at
// [Hub.URL]. To try that, run the program examples/fakehub of this module.
//
// # Testing a program that follows a session
//
// The Hub serves both live channels: streams of events, which observers read,
// and WebSockets for observers, controllers and leads. All clients that follow
// a session are sent what happens to it, whoever makes it happen.
//
//	hub.Session(id).Emit(codertest.Event{Event: coder.EventTurnEnd}) // an event for followers and history
//	hub.Session(id).CutStreams()                                     // does the program reconnect?
//	hub.Session(id).StallStreams()                                   // does it notice the silence?
//	hub.Session(id).SendRaw("event: broadcast\ndata: {\n\n")         // does it survive invalid JSON?
//	hub.Session(id).RefuseStreams(codertest.Refusal{Count: 3})
//	hub.Session(id).Shutdown() // session_shutdown, and the end of the stream
//
// [SessionControl.Streams] returns how many live connections are open, so that a
// test sees whether the program has closed what it has opened. A client that
// reads slowly delays nobody else: its messages are queued, and its connection
// is cut when more are queued than [WithStreamQueue] allows.
//
// # A Hub that restarts
//
// [Hub.Restart] makes the Hub go down for some time: its connections end, and
// new ones are refused, closed, or answered by a gateway. Afterwards the Hub
// remembers what it has stored, but not what only its process knew.
//
//	hub.Restart(10*time.Second, codertest.Outage{}) // sockets are closed with 1001, connections refused
//	hub.Restart(10*time.Second, codertest.Outage{Kind: codertest.OutageBadGateway, Crash: true})
//
// The Hub's agent goes on working meanwhile. What it reports comes late, or never
// with Outage.LoseReports, so that a test sees how its program handles an answer
// whose end was lost.
//
// # A program that waits for what does not come
//
// A [coder.HubConn] sends pings, and a stream of events sends comments. So in a
// bubble time goes on for ever while a program waits for a message that nobody
// sends. Bound each wait:
//
//	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of fake time
//	defer cancel()
//	for message, err := range conn.Messages(ctx) {
//
// If for a week of fake time there were only pings and comments, and the agent
// waits for nothing but an answer, the Hub panics and says so. In real time the
// Hub never does that: it recognizes a bubble by its clock, which begins in the
// year 2000.
//
// # The agent of the Hub
//
// The Hub's own agent leads a session that no program leads. When the session
// becomes active it runs the session's task, once, and then answers the commands
// of controllers, always in the same way: given a prompt, it repeats it in pieces,
// reads a file and says that it is done. If the prompt has the word confirm,
// select, input or editor, the agent first asks its user, and waits for the
// answer. Afterwards, everything that it said is in the conversation and the
// history.
//
// The agent behaves as the real coding agent was recorded to. Each model call is a
// turn, and a turn that calls tools is followed by another. What a controller sends
// while the agent works waits for the end of a turn (steer) or of the answer
// (follow_up). A second prompt is refused then, unless its streamingBehavior says
// which of the two it is. A steer or follow_up to an idle agent waits for the next
// prompt. A prompt that comes before the previous one has begun is lost. Abort ends
// the run, but not what is queued. The agent answers each command with an
// rpc_response, even one without an id; abort and compact are answered when they are
// over. [WithAgentVersion] chooses between two versions of the agent, and
// [WithAgentDialect] between its RPC mode and the events of its extension. Tests
// compare it with the recordings.
//
// A test sets the answers of the agent with [Hub.Answer] and
// [SessionControl.Answer], makes model calls fail with [WithAgentErrors] and
// [SessionControl.FailModel], and ends the current turn with
// [SessionControl.EndTurn]:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentErrors(codertest.AgentOverloaded))
//	hub.Answer(codertest.AgentTurn{Text: "It is a race in the parser."})
//	// A program that creates a session and waits for the answer has it after 2 s
//	// of fake time, in which the history shows a run that has failed.
//
// [WithoutAgent] removes the agent, for tests that decide themselves what happens
// in a session.
//
// If the sandbox or the session ends while the agent works, the agent aborts
// its run first, so that message_end, turn_end and agent_end always come. For a
// program that leads a session, the Hub sends no such events: when the program
// disconnects, only session_leave comes.
//
// By default a whole run happens at once. [WithAgentPace] gives a test time to
// interrupt it:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(time.Second))
//	...
//	conn.Prompt(ctx, "Rename the package, but confirm it first")
//	// agent_start, turn_start, the prompt as a message of the role user, then
//	// message_start, message_update..., message_end, tool_execution_start, and
//	// an rpc_ui_request that the program under test has to answer
//
// Observers get the events of an agent under their own names, and controllers
// get them wrapped as rpc_event. With [WithEventReplay] a controller that
// connects gets past events again, as a real Hub may send them. A program must
// not take them for new ones.
//
// # A program that leads
//
// A program that connects as a lead replaces the Hub's agent: the Hub relays
// commands to the program, and relays the program's reports to the others.
// [Hub.OnRequest] sets the answers to its requests, [Hub.SetInit] sets members of
// its init message, and [SessionControl.Files] returns the files that it has
// written. [SessionControl.Frames] returns every message that came over a socket,
// whoever sent it. The program can be a real agent, which first requests GET
// /api/hub/init and does nothing without it.
//
// The Hub uses what a lead reports, in either dialect. The lead's messages become
// the conversation, so that replay and hydrations have them. Its runs, tools and
// tasks become streamingState, agentActivity, stream and tasks. A prompt of a
// controller is in the conversation once, from when it was sent. If a driver and an
// extension report the same, the Hub uses the reports of the one that was the first
// to report a run or a message, and only the tasks of the other; the history has
// both. If a lead writes entries of the conversation itself (session_entry), the
// Hub adds no others. What a sub-agent reports over a connection of its own is only
// in the history.
//
// An agent repeats itself: with each piece of an answer it reports the whole
// message twice, and before each call of the model the whole conversation. So an
// answer of 12 kB comes as some 7 MB. Clients that follow the session get all of
// it. The history, and so [WithEventReplay] and [SessionControl.Frames], keeps each
// event without these copies: message_update without message and partial, context
// without messages, turn_end without context, tool_execution_update without
// partialResult, before_agent_start without the system prompt, and
// session_before_compact without the conversation. What is kept grows with the
// answer: some 120 kB for the one above.
//
// # What a test can do to the Hub
//
// [Hub.Session] returns the control of one session, which pauses, ends or archives the session, adds to its history, its
// conversation and its participants, sets the state of its loop, scripts what each of the next requests for it sees, and
// breaks its live connections. [Hub.Inject] makes requests fail, before or after they had their effect, those that open a
// live connection included. [Hub.RefuseStreams] refuses clients that want to follow a session. [Injection.Remove] undoes
// either. [Hub.Requests] returns the requests the Hub has received. [Hub.Restart] makes the Hub go down for a time.
// [Hub.AddUser], [Hub.AddGitHubAccount] and [Hub.AddSkillFile] add what no client can create, [SessionControl.SetTodos] what
// only an agent can. [WithAPIKey] makes the Hub refuse clients without the key.
//
// [Hub.OnSession] sets a function that is called for each session that a client
// creates, before the client gets the response, so that a test can decide what
// happens in it. [Hub.AddSession] adds a session with a past, of any owner and
// age, for programs that clean up or report. A test reads a session with
// [SessionControl.Status], Task, Label, Metadata, Archived, Deleted and Detail,
// and what happened in it with Events, Entries and Participants. Unlike a
// client's requests, that moves nothing on.
//
// # What a real Hub said once
//
// [coder.NewRecorder] records the traffic of a client and a Hub, without secrets. [Replay] starts a
// [ReplayHub], which plays the recording back: for tests, in a bubble too, and to reproduce what happened to
// somebody else. It knows nothing but its recording. [ReplayHub.Missing] returns what a program has asked for
// that the recording does not have.
//
// # Limits
//
// No real agent runs: the Hub's own agent has no model and no tools. Files,
// commands and environments are ignored. There is one organization with one owner,
// who may do everything. Every dependency that is a possible package name is
// accepted, unless it begins with "no-such-".
package codertest
