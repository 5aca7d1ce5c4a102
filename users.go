package coder

import (
	"cmp"
	"context"
	"iter"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/paging"
	"github.com/agentuity/coder-go/internal/route"
)

// User is a person who uses the Hub.
type User struct {
	// UserID is the same wherever the Hub names the user.
	UserID string `json:"userId"`
	// DisplayName is for people, Email the mail address.
	DisplayName string `json:"displayName"`
	Email       string `json:"email"`
	// Provider says how the user logs in, such as "github".
	Provider string `json:"provider"`
	// AvatarURL is the address of a picture.
	AvatarURL string `json:"avatarUrl,omitzero"`
	// CreatedAt is when the Hub first knew the user, LastSeenAt the time of the last activity.
	LastLoginAt time.Time `json:"lastLoginAt,omitzero"`
	LastSeenAt  time.Time `json:"lastSeenAt,omitzero"`
	CreatedAt   time.Time `json:"createdAt,omitzero"`
}

// ListUsersParams selects users. The zero value of a member means that it is not sent.
type ListUsersParams struct {
	// Search looks through the display names.
	Search string
	// Limit is the size of the page, Offset the number of users before it.
	Limit  int
	Offset int
}

// ListUsersResponse is a page of users.
type ListUsersResponse struct {
	// Users may come in any order.
	Users []User `json:"users"`
	// Total is the number of users on all pages, 0 if the Hub does not say. If the Hub sends a plain list,
	// Total is its length.
	Total int `json:"total,omitzero"`
	// Limit and Offset are those that the Hub applied, 0 if it does not say.
	Limit  int `json:"limit,omitzero"`
	Offset int `json:"offset,omitzero"`
}

func (r *ListUsersResponse) problem() error { return missingUser(r.Users) }

// userList is the other form of a ListUsersResponse on the wire.
type userList []User

func (l *userList) problem() error { return missingUser(*l) }

func missingUser(users []User) error {
	return missingIn("users", users, "userId", func(u *User) string { return u.UserID })
}

// ListUsers returns one page of the users of the Hub. Nil params list what the Hub lists by
// default.
//
// GET /hub/users
func (c *Client) ListUsers(ctx context.Context, params *ListUsersParams) (*ListUsersResponse, error) {
	var p ListUsersParams
	if params != nil {
		p = *params
	}
	return c.listUsers(ctx, "ListUsers", p)
}

func (c *Client) listUsers(ctx context.Context, op string, p ListUsersParams) (*ListUsersResponse, error) {
	var q route.Query
	q.String("search", p.Search).Int("limit", p.Limit).Int("offset", p.Offset)
	a := c.send(ctx, get(op, "/hub/users").with(&q))
	if !a.isList() {
		return decode[ListUsersResponse](a)
	}
	list, err := decode[userList](a)
	if err != nil {
		return nil, err
	}
	return &ListUsersResponse{Users: *list, Total: len(*list)}, nil
}

// isList tells whether a 2xx answer is a list rather than an object.
func (a *response) isList() bool {
	return a.err == nil && jsontext.NewDecoder(a.outcome.Body.Reader()).PeekKind() == jsontext.KindBeginArray
}

// AllUsers returns all users of the Hub from params.Offset on, page by page. Limit is the size of a page, not
// a maximum; 0 means 100. If a Hub responds with a plain list, there is only one request, and the Hub may
// ignore Offset. Leaving the loop ends the requests; ranging again starts over.
//
// Its guarantees and errors are those of [Client.AllSessions].
//
// GET /hub/users
func (c *Client) AllUsers(ctx context.Context, params *ListUsersParams) iter.Seq2[User, error] {
	var p ListUsersParams
	if params != nil {
		p = *params
	}
	p.Limit = cmp.Or(p.Limit, pageSize)
	id := func(u *User) string { return u.UserID }
	return paging.ByOffset(p.Offset, id, func(offset int) ([]User, int, error) {
		page := p
		page.Offset = offset
		list, err := c.listUsers(ctx, "AllUsers", page)
		if err != nil {
			return nil, 0, err
		}
		return list.Users, list.Total, nil
	})
}
