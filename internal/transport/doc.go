// Package transport makes one HTTP call of the SDK, in as many attempts as the
// retry rules allow, and reports what came of it. It knows nothing of resources
// or of public error types: the coder package turns an [Outcome] into those.
//
// The loop itself is go-retryablehttp's. This package decides what is repeated,
// how long to wait, whether a request can have reached the Hub, and reads bodies
// within bounds.
package transport
