package main

import (
	"errors"
	"os"

	"github.com/agentuity/coder-go"
)

// record begins to write what goes over the wire to a file that does not exist yet.
func (d *doctor) record(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	d.recorder, err = coder.NewRecorder(file, &coder.RecorderOptions{OmitTexts: true})
	if err != nil {
		_ = file.Close()
		return err
	}
	d.recording = file
	return nil
}

// recorded ends that.
func (d *doctor) recorded() error {
	if d.recorder == nil {
		return nil
	}
	err := d.recorder.Close()
	if closed := d.recording.Close(); err == nil {
		err = closed
	}
	if d.client == nil { // nothing was sent, and nobody wants an empty file to be in the way of the next try
		return errors.Join(err, os.Remove(d.recording.Name()))
	}
	return err
}
