package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// errBadFile says that the file that -o names cannot be one.
var errBadFile = errors.New("-o")

// output is a file that has a temporary name until it is whole.
type output struct {
	*bufio.Writer
	file *os.File // nil: it is gone, or it has its name
	name string
}

// create makes the temporary file beside the one that is wanted, so that it can be renamed.
func create(name string) (*output, error) {
	switch info, err := os.Stat(name); {
	case err == nil && !info.Mode().IsRegular(): // a device would be replaced by a file
		return nil, fmt.Errorf("%w %s: it is there, and no file", errBadFile, name)
	case err == nil:
		if name, err = filepath.EvalSymlinks(name); err != nil { // or else the link would be replaced
			return nil, fmt.Errorf("%w: %w", errBadFile, err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errBadFile, err)
	}
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*.tmp")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadFile, err)
	}
	return &output{bufio.NewWriter(file), file, name}, nil
}

// keep gives the file its name.
func (o *output) keep() error {
	temporary := o.file.Name()
	err := o.Flush()
	if err == nil {
		err = o.file.Sync() // after a crash it is the old page or the new one, and none of zeros
	}
	if e := o.file.Close(); err == nil {
		err = e
	}
	o.file = nil
	if err == nil {
		err = os.Rename(temporary, o.name)
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}

// discard removes the file unless it was kept.
func (o *output) discard() {
	if o.file == nil {
		return
	}
	_ = o.file.Close()
	_ = os.Remove(o.file.Name())
}
