#!/usr/bin/env bash
# All that can be checked, in some hours: `make nightly`. Each step leaves what it printed last in docs/nightly/STEP.txt, with
# its command, when, how long, and of which commit; that is committed. It goes on after a step that fails, and fails at its end.
#
#   tools/nightly.sh [REGEXP]    the steps whose names match; the others keep what they have
#
# GO_OLD and GO_NEW are the two versions of Go. The steps gateways, servers, browser and lead need what CONTRIBUTING.md says of them.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
select=${1:-.}
old=${GO_OLD:-local} new=${GO_NEW:-go1.27.3}
export GOFLAGS="${GOFLAGS:--buildvcs=false}"
failed=()
steps=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p docs/nightly

# commit is which one this is, and whether it was changed: what the steps themselves write does not count.
commit() {
	git rev-parse --short HEAD
	[[ -z $(git status --porcelain -- . ':!docs/nightly' ':!docs/reliability.md') ]] || echo '(and what was not committed)'
}

# step NAME COMMAND ARGUMENT...
step() {
	local name=$1 began=$SECONDS status=0 verdict=passed
	shift
	[[ $name =~ $select ]] || return 0
	steps=$((steps + 1))
	printf '\n== %s: %s\n' "$name" "$*"
	"$@" </dev/null 2>&1 | tee "$log" || status=$?
	if [[ $status -ne 0 ]]; then
		verdict="FAILED with status $status"
		failed+=("$name")
	fi
	{
		printf '%s\n%s, commit %s, %d s: %s\n\n' "$*" "$(date -u +%F)" "$(commit | paste -sd ' ' -)" $((SECONDS - began)) "$verdict"
		tail -n 60 "$log" | sed "s#$PWD#.#g" # no folders of this machine
	} >"docs/nightly/$name.txt"
}

step vuln make vuln
step simulated go test -timeout 120m -run 'Simulated|Conversation' -runs 10000 .
step race-old env "GOTOOLCHAIN=$old" go test -race -timeout 30m ./...
step race-new env "GOTOOLCHAIN=$new" go test -race -timeout 30m ./...
step gateways make gateways GATEWAYS=all
step servers make servers
step browser make browser
step lead make lead
step hostile make hostile
step lateness make lateness
step soak-1 make soak DURATION=20m SEED=1
step soak-2-race make soak DURATION=20m SEED=2 RACE=-race
step soak-3-new env "GOTOOLCHAIN=$new" make soak DURATION=20m SEED=3
step fuzz make fuzz FUZZTIME=1m
step mutants make mutants

if ((steps == 0)); then
	echo "nightly: no step matches $select" >&2
	exit 1
fi
if ((${#failed[@]})); then
	printf '\nnightly: FAILED: %s\n' "${failed[*]}"
	exit 1
fi
printf '\nnightly: passed in %d s\n' "$SECONDS"
