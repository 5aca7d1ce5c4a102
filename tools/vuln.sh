#!/usr/bin/env bash
# Looks for known vulnerabilities in what the released modules call: `make vuln`. The standard library counts too, so it is that
# of the Go versions given, newest patch releases, and not that of this machine.
#
#   tools/vuln.sh GO-VERSION...
#
# The database is GOVULNDB, by default https://vuln.go.dev. Where that cannot be reached, it is the module golang.org/x/vulndb,
# which the module proxy has, in a version that may be some weeks old: the output says from when. Where neither can be had, nothing
# was checked: this fails, or with UNCHECKED=allowed only says so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
go=${GO:-go}
released=(. otelcoder)
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# check VERSION MODULE [FLAG...] leaves what govulncheck says in $out. 0: nothing found, 3: something, else it has not looked.
check() {
	local version=$1 module=$2 tools
	tools=$PWD/tools/go.mod
	shift 2
	(cd "$module" && GOTOOLCHAIN=$version "$go" tool -modfile="$tools" govulncheck "$@" ./...) >"$out" 2>&1
}

unchecked() {
	cat "$out"
	echo "vuln: NOTHING WAS CHECKED: $1"
	[[ ${UNCHECKED:-} == allowed ]] && exit 0
	exit 1
}

database=() # flags; none: the default
from=${GOVULNDB:-https://vuln.go.dev}
status=0
check "$1" . || status=$?
if [[ $status -ne 0 && $status -ne 3 ]]; then
	grep -q 'fetching vulnerabilities' "$out" || { cat "$out"; exit 1; } # it was not built, or the code was not
	echo "vuln: $from could not be reached; trying the module golang.org/x/vulndb"
	# Asked from a module of no requirements, so that none of ours is looked at.
	mod=$("$go" -C "$(mktemp -d)" mod download -json golang.org/x/vulndb@latest 2>"$out") || unchecked "neither $from nor golang.org/x/vulndb could be reached"
	field() { sed -n "s/^[[:space:]]*\"$1\": \"\(.*\)\",\{0,1\}$/\1/p" <<<"$mod"; }
	dir=$(field Dir)/data/osv
	[[ -n $(find "$dir" -name 'GO-*.json' -print -quit) ]] || unchecked "golang.org/x/vulndb has no entries in data/osv"
	# A folder of entries without an index is one that govulncheck takes, though its documentation does not say so.
	database=(-db "file://$dir")
	from="golang.org/x/vulndb $(field Version)"
fi

found=0
for version in "$@"; do
	for module in "${released[@]}"; do
		status=0
		# An empty array counts as not set before Bash 4.4: macOS has 3.2.
		check "$version" "$module" ${database[@]+"${database[@]}"} || status=$?
		case $status in
		0) echo "vuln: nothing is known of module $module with $version, by $from" ;;
		3)
			cat "$out"
			echo "vuln: FOUND in module $module with $version, by $from"
			found=1
			;;
		*)
			cat "$out"
			echo "vuln: govulncheck failed with status $status in module $module with $version"
			exit 1
			;;
		esac
	done
done
exit $found
