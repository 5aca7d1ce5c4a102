// Package reallead puts the real coding agent, Pi, before the fake Hub of codertest as the lead of a session, and this
// client beside it as controller and observer. It asserts for each scenario what the client says of it: how the prompt
// ended, that nothing is called over too early, and what was said.
//
// The agent runs in two versions, and leads in two ways: with the published extension, which joins the Hub by itself
// (the extension's channel), and behind a driver of ours, which starts the agent in its RPC mode and joins with this
// library's Connect (the RPC channel). Its model is a stub on the loopback interface: a word in the prompt, such as
// [[text]], tells it what to answer.
//
// It asks the agent with Ask, Submit and Answer too, with the connection of who asks cut at every point (cut_test.go,
// inquiries_test.go), and with a Hub that restarts in the middle (restarts_test.go).
//
// The suite runs with `make lead`, which installs Node, the agent and the extension from the lock files in npm. It is
// behind the build tag "lead". Each agent is a process of its own with a home of its own, and is ended by its own
// process id. What the suite has found is in docs/real-agent.md.
package reallead
