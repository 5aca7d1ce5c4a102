// Package codertest has a fake Coder Hub for the tests of programs that use
// package coder, as net/http/httptest has servers for programs that use
// net/http.
//
// A [Hub] remembers: what a program creates it finds again, can search, page
// through, change, archive and delete. It is deterministic: ids count from 1,
// and nothing happens because time passes, except that the agent rests with
// [WithAgentPace], waits before it tries again what has failed, and gives up a
// question after its timeout.
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
// or on the listener of [WithListener], and programs in any language can reach it at
// [Hub.URL]. To try that, run the program examples/fakehub of this module.
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
// # A Hub that restarts
//
// [Hub.Restart] makes the Hub go down for some time: its connections end, and
// clients are refused, closed, or answered by a gateway. Afterwards it remembers
// what it has stored, and not what only its process knew.
//
//	hub.Restart(10*time.Second, codertest.Outage{}) // sockets are closed with 1001, connections refused
//	hub.Restart(10*time.Second, codertest.Outage{Kind: codertest.OutageBadGateway, Crash: true})
//
// The Hub's agent goes on working meanwhile. What it reports then comes late, or
// with Outage.LoseReports never, so that a test sees what its program makes of an
// answer whose end nobody has heard.
//
// # A program that waits for what does not come
//
// A [coder.HubConn] sends pings, and a stream of events comments, so that in a
// bubble time goes on for ever while a program waits for a message that nobody
// sends. Bound each wait:
//
//	ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of fake time
//	defer cancel()
//	for message, err := range conn.Messages(ctx) {
//
// When for a week of fake time nothing has come and gone but signs of life, and
// the agent waits for nothing but an answer, the Hub panics and says so. A Hub in
// real time never does: it tells a bubble by its clock, which begins with the
// year 2000.
//
// # The agent of the Hub
//
// The Hub's own agent leads a session that no program leads. When the session
// becomes active it runs the session's task, once, and then answers the commands
// of controllers, always in the same way: given a prompt, it repeats it in pieces,
// reads a file and says that it is done. If the prompt has the word confirm,
// select, input or editor, it first asks its user, and waits for the answer.
// Everything it says is in the conversation and the history afterwards.
//
// It behaves as the real coding agent was recorded to. Each model call is a turn,
// and one that calls tools is followed by another. What a controller sends while
// it works waits for the end of a turn (steer) or of the answer (follow_up). A
// second prompt is refused then, unless its streamingBehavior says which of the
// two it is. Steer and follow_up to an idle agent only wait for the next prompt, and
// a prompt that comes before the one before it has begun is lost. Abort ends the
// run, and leaves what waits. The agent answers each command with an
// rpc_response, also one without an id; abort and compact are answered when they
// are over. [WithAgentVersion] chooses between two versions of it, and
// [WithAgentDialect] between its RPC mode and the events of its extension. Tests
// compare it with the recordings.
//
// A test says what it answers with [Hub.Answer] and [SessionControl.Answer], which
// of its model calls fail with [WithAgentErrors] and [SessionControl.FailModel],
// and how a turn ends that is under way with [SessionControl.EndTurn]:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentErrors(codertest.AgentOverloaded))
//	hub.Answer(codertest.AgentTurn{Text: "It is a race in the parser."})
//	// A program that creates a session and waits for the answer has it after 2 s
//	// of fake time, in which the history shows a run that has failed.
//
// [WithoutAgent] takes the agent away, for tests that say themselves what happens
// in a session.
//
// If the sandbox or the session ends while the agent works, it aborts its run
// first, so that message_end, turn_end and agent_end always come. For a program
// that leads, the Hub sends no such events: when it disconnects, only
// session_leave tells of it.
//
// By default a whole run happens at once. [WithAgentPace] gives a test the time
// to interrupt it:
//
//	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentPace(time.Second))
//	...
//	conn.Prompt(ctx, "Rename the package, but confirm it first")
//	// agent_start, turn_start, the prompt as a message of the role user, then
//	// message_start, message_update..., message_end, tool_execution_start, and
//	// an rpc_ui_request that the program under test has to answer
//
// Observers are sent the events of an agent under their names, and controllers
// are sent them wrapped as rpc_event. With [WithEventReplay] a controller that
// connects is sent past events again, as a real Hub may do. A program must not
// take them for new ones.
//
// # A program that leads
//
// A program that connects as a lead replaces the Hub's agent: the Hub relays
// commands to it, and what it reports to the others. [Hub.OnRequest] says how its
// requests are answered, [Hub.SetInit] what its init message has, and
// [SessionControl.Files] what it has written. [SessionControl.Frames] returns
// every message that came over a socket, whoever sent it. A real agent can be the
// program: it asks for GET /api/hub/init first, without which it does nothing.
//
// The Hub learns from what a lead reports, in either dialect: its messages become
// the conversation, so that they are in replay and hydrations, and its runs, tools
// and tasks what streamingState, agentActivity, stream and tasks say. A prompt that
// a controller has sent is in the conversation from then on, and once. A driver and
// an extension may report the same: the Hub believes the one that was the first to
// report a run or a message, and of the other only the tasks; the history has
// both. From a lead that writes entries of the conversation itself (session_entry)
// it takes no others. What a sub-agent reports over a connection of its own is only
// in the history.
//
// An agent repeats itself: with each piece of an answer it reports the whole
// message twice, and before each call of the model the whole conversation, so that
// an answer of 12 kB comes as some 7 MB. Who follows the session is sent all of it.
// The history, and so [WithEventReplay] and [SessionControl.Frames], keeps each
// event without these copies: message_update without message and partial, context
// without messages, turn_end without context, tool_execution_update without
// partialResult, before_agent_start without the system prompt, and
// session_before_compact without the conversation. What is kept grows with what is
// said: some 120 kB for that answer.
//
// # What a test can do to the Hub
//
// [Hub.Session] controls one session: it pauses, ends or archives it, adds to
// its history, its conversation and its participants, sets the state of its
// loop, scripts what each of the next requests for it sees, and breaks its live
// connections. [Hub.Inject] makes requests fail, before or after they had their
// effect, those that open a live connection included. [Hub.RefuseStreams] turns
// away clients that want to follow a session. [Injection.Remove] takes either back. [Hub.Requests] returns the requests
// the Hub has received. [Hub.Restart] takes the Hub away for a time. [Hub.AddUser], [Hub.AddGitHubAccount] and
// [Hub.AddSkillFile] add what no client can create, [SessionControl.SetTodos] what only an agent can. [WithAPIKey] makes the Hub refuse clients without the key.
//
// [Hub.OnSession] is told of each session that a client creates before the client
// is, so that a test can say what becomes of it. [Hub.AddSession] adds a session
// with a past, of any owner and age, for programs that clean up or report. A test
// reads a session with [SessionControl.Status], Task, Label, Metadata, Archived,
// Deleted and Detail, and what happened in it with Events, Entries and
// Participants. Unlike a client it moves nothing on by that.
//
// # What a real Hub said once
//
// [coder.NewRecorder] records what a client and a Hub say to each other, without what is secret.
// [Replay] starts a [ReplayHub], which says it again: for tests, in a bubble too, and to see for oneself what
// happened to somebody else. It knows nothing but its recording, and tells with
// [ReplayHub.Missing] what a program has asked for besides.
//
// # Limits
//
// No real agent runs: the Hub's own has no model and no tools. Files, commands and
// environments are ignored. There is one organization with one owner, who may do
// everything. Every dependency that could be the name of a package is accepted,
// unless it begins with "no-such-".
package codertest
