package world

import (
	"cmp"
	"strings"
	"time"
)

// User is a member of the organization. The zero value of a member is replaced
// by a value that is made up.
type User struct {
	UserID, DisplayName, Email, Provider, AvatarURL string
	LastLoginAt, LastSeenAt, CreatedAt              time.Time
}

// users are the members of the organization, oldest first.
type users struct{ collection[userRecord] }

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

// AddUser adds a member to the organization and returns its id.
func (w *World) AddUser(u User) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	return w.users.add(func(id string) userRecord {
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

func (u *users) list(c *Call) (any, error) {
	limit, offset, err := c.queryPage()
	if err != nil {
		return nil, err
	}
	search := strings.ToLower(c.Query.Get("search"))
	var found []userRecord
	for user := range u.oldestFirst() {
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
