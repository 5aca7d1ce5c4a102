package wire

import (
	"encoding/binary"
	"math/bits"
)

// deepest is how deep values may be nested that endOfValue is sure of: as many as a word has bits.
const deepest = 64

// endOfValue returns where the value ends that begins at i, or -1 if it is not sure that there is a valid one. It takes
// what Accepted accepts: duplicate names, and texts that are not valid UTF-8.
func endOfValue(text []byte, i int) int {
	var (
		objects uint64 // a bit for each open bracket, the innermost is the lowest: it is one of an object
		depth   int
	)
	for {
		// A value, or the first name of an object, is due.
		if i >= len(text) {
			return -1
		}
		switch c := text[i]; {
		case c == '{' || c == '[':
			if depth++; depth > deepest {
				return -1
			}
			objects <<= 1
			closing := byte(']')
			if c == '{' {
				objects |= 1
				closing = '}'
			}
			if i = space(text, i+1); i == len(text) {
				return -1
			}
			if text[i] != closing {
				if c == '{' {
					if i = endOfName(text, i); i < 0 {
						return -1
					}
				}
				continue
			}
			depth--
			objects >>= 1
			i++
		case c == '"':
			i = endOfText(text, i)
		case c == 't':
			i = endOfWord(text, i, "true")
		case c == 'f':
			i = endOfWord(text, i, "false")
		case c == 'n':
			i = endOfWord(text, i, "null")
		default:
			i = endOfNumber(text, i)
		}
		// A value has ended, and perhaps what it is in.
		for {
			switch {
			case i < 0 || depth == 0:
				return i
			default:
				i = space(text, i)
			}
			if i == len(text) {
				return -1
			}
			if text[i] == ',' {
				break
			}
			if closing := byte(']' + 0x20*(objects&1)); text[i] != closing {
				return -1
			}
			depth--
			objects >>= 1
			i++
		}
		i = space(text, i+1)
		if objects&1 == 1 {
			if i = endOfName(text, i); i < 0 {
				return -1
			}
		}
	}
}

// endOfName returns where the value of a member begins whose name begins at i.
func endOfName(text []byte, i int) int {
	if i >= len(text) || text[i] != '"' {
		return -1
	}
	if i = endOfText(text, i); i < 0 {
		return -1
	}
	if i = space(text, i); i == len(text) || text[i] != ':' {
		return -1
	}
	return space(text, i+1)
}

// endOfText returns where the text ends whose quote is at i. Eight bytes at a time are looked at.
func endOfText(text []byte, i int) int {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	for i++; ; {
		for i+8 <= len(text) {
			word := binary.LittleEndian.Uint64(text[i:])
			quote, slash := word^('"'*ones), word^('\\'*ones)
			// A byte has its highest bit here if it is a quote, a backslash or a control character; what is above the first
			// of them may have it too.
			special := ((quote - ones) &^ quote) | ((slash - ones) &^ slash) | ((word - ' '*ones) &^ word)
			if special &= highs; special != 0 {
				i += bits.TrailingZeros64(special) / 8
				break
			}
			i += 8
		}
		if i >= len(text) {
			return -1
		}
		switch c := text[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = endOfEscape(text, i); i < 0 {
				return -1
			}
		case c < ' ':
			return -1
		default:
			i++
		}
	}
}

func endOfEscape(text []byte, i int) int {
	if i+1 >= len(text) {
		return -1
	}
	switch text[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		if i+6 > len(text) {
			return -1
		}
		for _, c := range text[i+2 : i+6] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return -1
			}
		}
		return i + 6
	}
	return -1
}

func endOfWord(text []byte, i int, word string) int {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func endOfNumber(text []byte, i int) int {
	if i < len(text) && text[i] == '-' {
		i++
	}
	switch {
	case i >= len(text) || !isDigit(text[i]):
		return -1
	case text[i] == '0':
		i++
	default:
		i = endOfDigits(text, i)
	}
	if i < len(text) && text[i] == '.' {
		if i = endOfDigits(text, i+1); !isDigit(text[i-1]) {
			return -1
		}
	}
	if i < len(text) && text[i]|0x20 == 'e' {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		if i = endOfDigits(text, i); !isDigit(text[i-1]) {
			return -1
		}
	}
	return i
}

func endOfDigits(text []byte, i int) int {
	for i < len(text) && isDigit(text[i]) {
		i++
	}
	return i
}
