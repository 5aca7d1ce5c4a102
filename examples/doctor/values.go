package main

import (
	"net"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/agentuity/coder-go"
)

// usedKey is the variable of the key that counts, "" if none is set. The library takes a key as it is, also one of blanks.
func usedKey() string {
	for _, name := range keyVariables {
		if os.Getenv(name) != "" {
			return name
		}
	}
	return ""
}

// faultOfKey says what is wrong with how a key stands in a variable, and what to do about it; "" if nothing is.
func faultOfKey(name string) (seen, advice string) {
	key := os.Getenv(name)
	bare := strings.TrimFunc(key, isAround)
	prefix, rest, _ := strings.Cut(bare, " ")
	alone := "Put the key alone into " + name + "."
	again := "Set " + name + " again without it."
	first, _ := utf8.DecodeRuneInString(key)
	last, _ := utf8.DecodeLastRuneInString(key)
	switch {
	case key == "":
		return "", ""
	case bare == "":
		return "has nothing but blanks, which are sent as the key", "Set it, or unset " + name + "."
	case isAround(last):
		seen = "ends with " + nameOf(key[len(strings.TrimRightFunc(key, isAround)):])
		if strings.HasSuffix(key, "\n") {
			again += " What echo writes to a file or a secret ends with one; printf %s writes none."
		}
		return seen, again
	case isAround(first):
		return "begins with " + nameOf(key[:len(key)-len(strings.TrimLeftFunc(key, isAround))]), again
	case len(key) > 1 && key[0] == key[len(key)-1] && strings.ContainsRune(quotationMarks, first):
		return "is in quotation marks, which are sent with it", "Take them away: files of variables and consoles, unlike a shell, keep them."
	case strings.EqualFold(prefix, "Bearer") && rest != "":
		return "begins with Bearer, which is sent twice", alone
	case strings.HasPrefix(key, name+"="):
		return "begins with its own name", alone
	case strings.ContainsAny(key, "\r\n"):
		return "has a line break in it", alone
	case strings.ContainsFunc(key, unicode.IsSpace):
		return "has a blank in it", alone
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		return "has a character that no key has", "Copy it again: " + alone
	}
	return "", ""
}

// isAround tells whether a character is easily copied with a key, and not seen.
func isAround(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func nameOf(around string) string {
	switch {
	case strings.ContainsAny(around, "\r\n"):
		return "a line break"
	case strings.ContainsFunc(around, unicode.IsSpace):
		return "a blank"
	}
	return "an invisible character"
}

// adviceOnValue is what to do about a variable that the library does not take.
func adviceOnValue(err *coder.ValidationError) string {
	switch name := err.Field; name {
	case "AGENTUITY_REGION":
		return "Correct AGENTUITY_REGION, or unset it."
	case urlVariables[0], discoveryVariables[0], discoveryVariables[1]:
		return adviceOnURL(name, strings.TrimSpace(os.Getenv(name)))
	}
	return "Correct what it names: a line break or a blank at its end is often the reason."
}

// adviceOnURL is what to do about a URL that the library does not take.
func adviceOnURL(name, value string) string {
	scheme, rest, absolute := strings.Cut(value, "://")
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	switch {
	case strings.ContainsAny(value, quotationMarks):
		return "Take the quotation marks around it away: files of variables and consoles, unlike a shell, keep them."
	case strings.ContainsFunc(value, isAround):
		return "Take the blanks and line breaks out of " + name + ", and what is behind them."
	case !absolute && !strings.Contains(value, ":/") && isHere(value):
		return "Put http:// before it: " + name + " has to be http://host:port on this machine."
	case !absolute && !strings.Contains(value, ":/"):
		return "Put https:// before it: " + name + " has to be https://host."
	case !absolute || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https"):
		return "Correct " + name + ": it has to be https://host, or http://host on this machine."
	case strings.Contains(authority, "@"):
		return "Take what is before the @ out of " + name + ": a key belongs into " + keyVariables[0] + ", the user and the password of a proxy into " +
			"the proxy's URL."
	case strings.Contains(rest, "#") && !strings.Contains(rest, "?"):
		return "Take everything from the # on out of " + name + "."
	case strings.Contains(rest, "?"):
		return "Take everything from the ? on out of " + name + ": a key belongs into " + keyVariables[0] + "."
	case strings.Contains(authority, ":") && isNumber(authority[strings.LastIndex(authority, ":")+1:]):
		return "Correct the port in " + name + "."
	}
	return "Correct " + name + ": it has to be https://host, with a port and a path if there are."
}

// isHere tells whether what should be a URL begins with the host of this machine.
func isHere(value string) bool {
	host, _, _ := strings.Cut(value, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return isLocal(host)
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
