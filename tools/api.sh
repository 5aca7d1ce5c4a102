#!/usr/bin/env bash
# What has changed in what is exported since the last release: `make api`. Every name that was added, changed or removed must stand in
# backquotes in the part of CHANGELOG.md above that release: under Unreleased, or under the version that is about to be tagged. Before the first release there is nothing to compare with.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
packages=(. ./codertest)
tools=$PWD/tools/go.mod

release=${1:-$(git describe --tags --match 'v[0-9]*' --abbrev=0 2>/dev/null)} || { echo 'api: nothing is released yet'; exit 0; }
work=$(mktemp -d)
trap 'git worktree remove --force "$work/old" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/old" "$release"
unreleased=$(awk -v head="## [${release#v}]" 'index($0, head) == 1 { exit } /^## \[/ { inside = 1 } inside' CHANGELOG.md)

missing=0
for package in "${packages[@]}"; do
	path=$("$go" list "$package")
	file=$work/$(basename "$path")
	(cd "$work/old" && "$go" tool -modfile="$tools" apidiff -w "$file.old" "$path")
	"$go" tool -modfile="$tools" apidiff -w "$file.new" "$path"
	changes=$("$go" tool -modfile="$tools" apidiff "$file.old" "$file.new")
	[[ -n $changes ]] || continue
	printf 'api: %s since %s\n%s\n' "$path" "$release" "$changes"
	# - Name: added. - (*Type).Method: changed from …. - Type.Field: removed.
	while read -r name; do
		if ! grep -qE "\`([A-Za-z]+\.)*$name(\(|\`|\.|\[)" <<<"$unreleased"; then
			echo "api: CHANGELOG.md says nothing of $name above $release"
			missing=1
		fi
	done < <(sed -nE 's/^- ([^:]+): .*/\1/p' <<<"$changes" | tr -d '()*' | sed -E 's/.*\.//; s/\[.*//' | sort -u)
done
exit $missing
