package main

import "os"

// The size of a terminal that does not say.
const (
	usualColumns = 80
	usualLines   = 24
)

// terminalSize returns how to ask for the size of a terminal, nil if the file is none, or one that knows no commands.
func terminalSize(file *os.File) func() (columns, lines int) {
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, _, ok := windowSize(file); !ok { // such as /dev/null
		return nil
	}
	return func() (columns, lines int) {
		columns, lines, _ = windowSize(file)
		if columns <= 0 || lines <= 0 {
			return usualColumns, usualLines
		}
		return columns, lines
	}
}
