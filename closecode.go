package coder

import "strconv"

// CloseCode is the code a WebSocket connection is closed with. Unknown codes are kept as they came.
type CloseCode int

// The codes of the protocol that Hubs, and what stands before them, are known to use.
const (
	CloseNormal        CloseCode = 1000
	CloseGoingAway     CloseCode = 1001 // a restart
	CloseInternalError CloseCode = 1011
)

// The codes of the Hub.
const (
	CloseBadRequest      CloseCode = 4400 // invalid parameters
	CloseAuthRequired    CloseCode = 4401 // credentials missing or wrong
	CloseForbidden       CloseCode = 4403 // not permitted
	CloseSessionNotFound CloseCode = 4404 // no such session
	CloseUnavailable     CloseCode = 4408 // unavailable for now: come back
	CloseSessionActive   CloseCode = 4409 // another lead is connected
	CloseStaleDriver     CloseCode = 4410 // a newer instance of the driver has connected
	CloseRateLimited     CloseCode = 4429 // too many requests: come back
	CloseHubFailure      CloseCode = 4500 // the Hub failed
)

// Terminal reports whether to connect again would be of no use: all codes from 4000 to 4999 are
// terminal, known or not, save 4408 and 4429.
func (c CloseCode) Terminal() bool {
	return c >= 4000 && c <= 4999 && c != CloseUnavailable && c != CloseRateLimited
}

// String returns the number and, for the codes of the Hub, the Hub's name of it.
func (c CloseCode) String() string {
	number := strconv.Itoa(int(c))
	if name := closeNames[c]; name != "" {
		return number + " " + name
	}
	return number
}

var closeNames = map[CloseCode]string{
	CloseBadRequest:      "BAD_REQUEST",
	CloseAuthRequired:    "AUTH_REQUIRED",
	CloseForbidden:       "FORBIDDEN",
	CloseSessionNotFound: "SESSION_NOT_FOUND",
	CloseUnavailable:     "UNAVAILABLE",
	CloseSessionActive:   "SESSION_ACTIVE",
	CloseStaleDriver:     "STALE_DRIVER",
	CloseRateLimited:     "RATE_LIMITED",
	CloseHubFailure:      "INTERNAL_ERROR",
}

// byClose says which sentinels a close code matches.
var byClose = map[CloseCode][]error{
	CloseBadRequest:      {ErrInvalidRequest},
	CloseAuthRequired:    {ErrUnauthorized},
	CloseForbidden:       {ErrForbidden},
	CloseSessionNotFound: {ErrSessionNotFound, ErrNotFound},
	CloseUnavailable:     {ErrUnavailable},
	CloseSessionActive:   {ErrConflict},
	CloseStaleDriver:     {ErrConflict},
	CloseRateLimited:     {ErrRateLimited},
}

// refuses: the Hub would not have the connection, so that a session was not created by it.
func (c CloseCode) refuses() bool {
	return c.Terminal() && byClose[c] != nil || c == CloseRateLimited
}
