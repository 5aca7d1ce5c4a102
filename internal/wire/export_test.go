package wire

import "io"

// Quickly is the quick way alone.
func Quickly(text []byte, out any) bool { return quickly(text, methodless(out)) }

// QuicklyRead is the quick way alone, of a text that is not in one piece.
func QuicklyRead(source io.Reader, size int, out any) bool {
	return quicklyRead(source, size, methodless(out))
}

// Slowly is Unmarshal without the quick way.
func Slowly(text []byte, out any) error { return unmarshal(text, methodless(out)) }

// WindowSize is how much of a text QuicklyRead sees at a time.
const WindowSize = windowSize
