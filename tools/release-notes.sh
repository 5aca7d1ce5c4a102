#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version, and fails unless the changelog and Version in client.go know it.
#
#   tools/release-notes.sh v0.1.0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=${1#v}
grep -qxF "const Version = \"$version\"" client.go || { echo "release-notes: Version in client.go is not $version" >&2; exit 1; }
notes=$(awk -v head="## [$version]" 'index($0, head) == 1 { inside = 1; next } /^## \[/ || /^\[[^]]+\]: / { inside = 0 } inside' CHANGELOG.md)
[[ -n $notes ]] || { echo "release-notes: CHANGELOG.md has nothing of $version" >&2; exit 1; }
printf '%s\n' "$notes"
