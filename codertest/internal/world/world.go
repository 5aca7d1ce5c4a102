// Package world is the memory of a fake Coder Hub and the rules it follows:
// what there is, how a request changes it, and who is told. It has no server.
// Package codertest gives it HTTP, streams of events and WebSockets.
//
// It declares the types of all that is received and sent itself and takes none
// of package coder: an independent Hub finds what a shared struct would hide,
// such as a member whose name is wrong on both sides.
//
// # The files
//
// One prefix is one subject: session, live (the connections that follow a
// session, and what is sent over them), lead (the Hub's own agent, the commands
// of controllers, and the messages of programs that lead a session), agents,
// skills, workspaces, users and github. routes.go lists what a client can ask
// for. world.go, collection.go, request.go, problem.go and json.go have what all
// subjects need, restart.go what becomes of them when the Hub goes down. The tests
// are in codertest, in files with the same names: they see what a client sees.
//
// # The lock
//
// One lock guards everything. Exported methods take it; all others are called
// with the lock held. An answer is encoded after the lock has been released. For
// this reason slices and maps that an answer may have are replaced and never
// changed in place.
package world

import (
	"sync"
	"time"
)

// Config holds what does not change while a World exists.
type Config struct {
	// Queue is how many messages may wait for one live connection.
	Queue int
	// NoAgent takes the Hub's own agent away. AgentVersion and AgentExtension say
	// which of the recorded agents it behaves as, AgentErrors how the first model
	// calls of each session end.
	NoAgent        bool
	AgentVersion   string
	AgentExtension bool
	AgentErrors    []AgentError
	// Pace is how long the Hub's own agent rests between two steps.
	Pace time.Duration
	// EventReplay is how many events a controller that connects hears again at
	// most.
	EventReplay int
	// FrameLimit is how many of the newest frames of clients a session keeps; nil: all.
	FrameLimit *int
}

// World is everything a Hub remembers. Its exported methods may be called by
// several goroutines at once.
type World struct {
	config  Config
	leaving sync.WaitGroup // live connections that have not left

	mu          sync.Mutex // guards everything below
	closed      bool
	restart     restart
	idle        idleness
	connections map[*Connection]struct{}
	refusals    []*refusal
	leadInit    map[string]any
	script      [][]AgentTurn // what agents answer to the next prompts
	onRequest   func(LeadRequest) (actions []byte, answered bool)
	onSession   func(*Session)

	sessions   sessions
	workspaces workspaces
	skills     skills
	agents     agents
	users      users
	github     github
}

// New returns a World in which there is nothing yet.
func New(config Config) *World {
	w := &World{
		config:      config,
		idle:        newIdleness(time.Now()),
		connections: make(map[*Connection]struct{}),
		sessions:    sessions{collection: newCollection[*Session]("codesess_%012d")},
		workspaces:  workspaces{collection: newCollection[*workspace]("ws_%06d")},
		skills: skills{
			saved:   newCollection[savedSkill]("sk_%06d"),
			buckets: newCollection[*bucketRecord]("bkt_%06d"),
		},
		agents: agents{
			collection: newCollection[*agentRecord]("agent_%06d"),
			versions:   newCollection[agentVersion]("agentver_%06d"),
		},
		users:  users{newCollection[userRecord]("user_%06d")},
		github: github{accounts: newCollection[githubAccount]("%06d")},
	}
	w.sessions.world = w
	w.workspaces.skills = &w.skills
	w.skills.workspaces = &w.workspaces
	w.agents.skills = &w.skills
	return w
}

// Close cuts the live connections and returns when all of them have left. From
// then on nobody can connect, and the Hub's own agent does nothing.
func (w *World) Close() {
	w.cutAll()
	w.leaving.Wait()
}

func (w *World) cutAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for c := range w.connections {
		c.Out.Cut()
	}
	for s := range w.sessions.oldestFirst() {
		s.agent.stop()
	}
	w.restart.stop()
}

// unlocked calls a function of a test, which may use the Hub, without the lock.
func (w *World) unlocked(do func()) {
	w.mu.Unlock()
	defer w.mu.Lock()
	do()
}

// owner is whom everything on the Hub belongs to: the person behind the key.
var owner = sessionOwner{UserID: "user_owner", Name: "Hub Owner"}
