package codertest

import (
	"cmp"
	"strings"
	"time"
)

// User is a member of the organization.
type User struct {
	// UserID identifies the user. Empty: the Hub makes one.
	UserID string
	// DisplayName is what a search looks at.
	DisplayName string
	// Email is the user's address. Empty: one made of the id.
	Email string
	// Provider is who signs the user in. Empty: github.
	Provider string
	// AvatarURL is a picture, if there is one.
	AvatarURL string
	// LastLoginAt, LastSeenAt and CreatedAt are zero for now.
	LastLoginAt, LastSeenAt, CreatedAt time.Time
}

type userRecord struct {
	UserID      string `json:"userId"`
	DisplayName string `json:"displayName"`
	Email       string `json:"email"`
	Provider    string `json:"provider"`
	AvatarURL   string `json:"avatarUrl,omitzero"`
	LastLoginAt string `json:"lastLoginAt"`
	LastSeenAt  string `json:"lastSeenAt"`
	CreatedAt   string `json:"createdAt"`
}

type userList struct {
	Users  []userRecord `json:"users"`
	Total  int          `json:"total"`
	Limit  *int         `json:"limit,omitzero"`
	Offset int          `json:"offset"`
}

// AddUser adds a member to the organization and returns the id. A Hub starts
// without any; whoever owns the sessions on it is not listed.
func (h *Hub) AddUser(u User) string {
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.users.add(func(id string) userRecord {
		id = cmp.Or(u.UserID, id)
		return userRecord{
			UserID:      id,
			DisplayName: cmp.Or(u.DisplayName, id),
			Email:       cmp.Or(u.Email, id+"@hub.invalid"),
			Provider:    cmp.Or(u.Provider, "github"),
			AvatarURL:   u.AvatarURL,
			LastLoginAt: iso(timeOr(u.LastLoginAt, now)),
			LastSeenAt:  iso(timeOr(u.LastSeenAt, now)),
			CreatedAt:   iso(timeOr(u.CreatedAt, now)),
		}
	}).UserID
}

func timeOr(t, fallback time.Time) time.Time {
	if t.IsZero() {
		return fallback
	}
	return t
}

// listUsers answers in the order in which users were added.
func (h *Hub) listUsers(c *call) (any, error) {
	limit, offset, err := c.queryPage()
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(c.query.Get("search"))
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []userRecord
	for user := range h.users.oldestFirst() {
		if contains(user.DisplayName, search) {
			found = append(found, user)
		}
	}
	list := userList{Users: page(found, limit, offset), Total: len(found), Offset: offset}
	if limit != unlimited {
		list.Limit = &limit
	}
	return list, nil
}
