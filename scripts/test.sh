#!/usr/bin/env bash
# The whole test suite; `make test` calls it when everything is set up. With CI=true a missing part is a failure, not a skip.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$HEADWAY_ROOT"

step() {
  local began=$SECONDS
  say "$1 ..."
  shift
  "$@"
  say "... done in $((SECONDS - began)) s"
}

step "check" make --no-print-directory check
step "tests on the engine, on PostgreSQL, and long ones" \
  .venv/bin/pytest -q -n 2 -m "(engine or postgres or slow) and not (e2e or compose or browser)"
other_store=sid-containerd
scripts/engines.sh has "$other_store" || other_store=trixie-containerd
step "the main job with the containerd image store" \
  env HEADWAY_ENGINE_TESTS="engine and both_stores" scripts/engines.sh test "$other_store"
# One after another: each of these runs the whole stack and needs the machine to itself.
step "end to end" .venv/bin/pytest -q --durations=10 -m "e2e or compose or browser"
