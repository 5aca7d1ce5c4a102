// Package socket is one open WebSocket: how it is opened, read, written and closed, and where frames
// wait until somebody takes them. It knows frames and no session: who may connect, what a frame
// means, and whether another connection follows is decided above it.
package socket
