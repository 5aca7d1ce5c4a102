package world

import (
	"net/url"
	"regexp"
	"strings"
)

type dependencyAnswer struct {
	Success bool                 `json:"success"`
	Data    dependencyValidation `json:"data"`
}

type dependencyValidation struct {
	Valid   []string            `json:"valid"`
	Invalid []invalidDependency `json:"invalid"`
}

type invalidDependency struct {
	Package          string `json:"package"`
	Error            string `json:"error"`
	SearchURL        string `json:"searchUrl"`
	RequestedVersion string `json:"requestedVersion,omitzero"`
}

var (
	packageName    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	packageVersion = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]*$`)
)

// unknownPackage is the prefix of the names of packages that do not exist. The
// Hub has no list of those that do.
const unknownPackage = "no-such-"

// validateDependencies accepts what could be an APT package, with or without
// "=version".
func validateDependencies(c *Call) (any, error) {
	var req struct {
		Dependencies []string `json:"dependencies"`
	}
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	answer := dependencyAnswer{Success: true}
	for _, dependency := range req.Dependencies {
		if refused := checkDependency(dependency); refused != nil {
			answer.Data.Invalid = append(answer.Data.Invalid, *refused)
		} else {
			answer.Data.Valid = append(answer.Data.Valid, dependency)
		}
	}
	return answer, nil
}

func checkDependency(dependency string) *invalidDependency {
	name, version, pinned := strings.Cut(dependency, "=")
	refused := &invalidDependency{
		Package:          dependency,
		SearchURL:        "https://packages.debian.org/search?keywords=" + url.QueryEscape(name),
		RequestedVersion: version,
	}
	switch {
	case !packageName.MatchString(name):
		refused.Error = "This is not the name of a package"
	case strings.HasPrefix(name, unknownPackage):
		refused.Error = "Package is unknown"
	case pinned && !packageVersion.MatchString(version):
		refused.Error = "Version is not available"
	default:
		return nil
	}
	return refused
}
