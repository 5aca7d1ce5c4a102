// Package otelcoder makes OpenTelemetry spans and metrics of what a coder client does. It is a module of its own, so that
// nothing of OpenTelemetry reaches programs that do without. From the first release on:
//
//	go get github.com/agentuity/coder-go/otelcoder
//
//	client, err := coder.NewClient(coder.WithObserver(otelcoder.Observer()))
//
// # Spans
//
// A call that is one request is a span of kind client by the conventions for HTTP, such as "GET /api/hub/session/{sessionID}",
// with its attempts as span events. A call that is made of several, such as EnsureSession, is a span of kind internal above
// theirs, "coder.EnsureSession", and a message over a WebSocket one of kind client, such as "WebSocket GetState". Ask, Answer and
// RunSession are "invoke_agent" by the conventions for generative AI; each call of a tool that the agent makes is a child of it,
// "execute_tool bash", and each task it gives to another agent "invoke_agent scout".
//
// A span has the status Error where its method returns an error, a cancelled context included, as the conventions want it; and
// for RunSession where the session has not succeeded. What was repeated, or was done already, is none.
//
// # Metrics
//
//	http.client.request.duration        s             each attempt: without the waits between them
//	agentuity.coder.operation.duration  s             each call that the program makes, with all that it takes
//	agentuity.coder.retries             {retry}       attempts that another one follows
//	agentuity.coder.unknown_outcomes    {call}        calls of which nobody knows whether they had an effect, each once
//	agentuity.coder.connection.changes  {change}      live connections: opened, failed, lost, back, over
//	agentuity.coder.connection.active   {connection}  live connections that are there
//	agentuity.coder.connection.down_time s            how long a live connection was away until it was back
//	agentuity.coder.agent.events        {event}       what the agent does, by the name of the event
//	gen_ai.client.operation.duration    s             answers of an agent, and calls of its tools
//	gen_ai.client.token.usage           {token}       tokens of each message of the model, by direction
//
// The attributes of metrics come from sets that are bounded: operations, route templates, statuses, failures. What a Hub names
// (tools, models, events) is "_OTHER" after the first 200 names of a kind. docs/observability.md of the library has all of them.
//
// # What is not told
//
// Session ids stand in gen_ai.conversation.id of spans and nowhere else. No attribute has a key, a query, or what is said to and by
// an agent; see [WithContent]. The context of a trace is not sent to the Hub: wrap the transport of [coder.WithHTTPClient] for
// that.
//
// # Conventions
//
// The names are those of the OpenTelemetry semantic conventions 1.41.0, the last version that has those for generative AI, which
// are in development; those for HTTP are stable. Two things differ. There is no url.full, which would have ids. And there is one span
// for a call, not one for each attempt, since the wait between attempts belongs to no other span.
package otelcoder
