package world

import (
	"slices"
	"strings"
)

type skillFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

type skillFiles struct {
	OK     bool        `json:"ok"`
	Count  int         `json:"count"`
	Skills []skillFile `json:"skills"`
}

// AddSkillFile adds a file to those that agents are handed, or replaces the one with the same path.
func (w *World) AddSkillFile(path, content string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.skills.files = put(slices.Clone(w.skills.files), skillFile{path, content})
}

// listFiles answers with SKILL.md of each saved skill whose text the library holds, oldest first, and the files that a
// test has added, which replace those. A skill whose id is no name of a directory has no file.
func (k *skills) listFiles(*Call) (any, error) {
	var files []skillFile
	for skill := range k.saved.oldestFirst() {
		if skill.Content != "" && isFileName(skill.SkillID) {
			files = put(files, skillFile{".agents/skills/" + skill.SkillID + "/SKILL.md", skill.Content})
		}
	}
	for _, f := range k.files {
		files = put(files, f)
	}
	return skillFiles{OK: true, Count: len(files), Skills: files}, nil
}

func isFileName(id string) bool { return id != "." && id != ".." && !strings.ContainsAny(id, `/\`) }

// put appends a file, or replaces the one with its path in place.
func put(files []skillFile, f skillFile) []skillFile {
	if i := slices.IndexFunc(files, func(other skillFile) bool { return other.Path == f.Path }); i >= 0 {
		files[i] = f
		return files
	}
	return append(files, f)
}
