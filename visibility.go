package coder

import "strings"

// NormalizeVisibility reads a visibility as people write it: "private", "organization" or "org",
// "collaborate" or "collab", in small letters or capitals, with blanks around it. Anything else is
// a [*ValidationError].
func NormalizeVisibility(visibility string) (SessionVisibility, error) {
	switch v := SessionVisibility(strings.ToLower(strings.TrimSpace(visibility))); v {
	case VisibilityPrivate, VisibilityOrganization, VisibilityCollaborate:
		return v, nil
	case "org":
		return VisibilityOrganization, nil
	case "collab":
		return VisibilityCollaborate, nil
	}
	return "", invalid("NormalizeVisibility", "visibility",
		"must be private, organization (or org) or collaborate (or collab)")
}
