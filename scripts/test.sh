#!/usr/bin/env bash
# The whole test suite; `make test` calls it when everything is set up. With CI=true a missing part is a failure, not a skip.
# Coverage is measured where most of the code runs: in the tests without an engine, and in those on the engine and on PostgreSQL.
# More processes than processors: most of these tests wait, for containers, clocks and each other.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$HEADWAY_ROOT"

readonly PYTEST=.venv/bin/pytest COVERAGE=.venv/bin/coverage
readonly PIPELINES_PERCENT_MIN=100 ALL_PERCENT_MIN=95

# A part that fails does not end the others: one run says all that is wrong.
failed=()
trap 'exit 130' INT
step() { # step NAME COMMAND...
  local began=$SECONDS name=$1 status
  say "$name ..."
  shift
  set +e
  "$@"
  status=$?
  set -e
  if [ "$status" -eq 0 ]; then
    say "... done in $((SECONDS - began)) s"
  else
    warn "... failed after $((SECONDS - began)) s"
    failed+=("$name")
  fi
}

# --- the second engine, which runs beside the tests that mostly wait

start_other_store() {
  local name=sid-containerd
  scripts/engines.sh has "$name" || name=trixie-containerd
  other_store_log=$(mktemp)
  HEADWAY_ENGINE_TESTS="engine and both_stores" scripts/engines.sh test "$name" >"$other_store_log" 2>&1 &
  other_store=$!
  trap stop_other_store EXIT
}
finish_other_store() {
  local status=0
  wait "$other_store" || status=$?
  other_store=""
  cat "$other_store_log"
  return "$status"
}
stop_other_store() {
  [ -z "$other_store" ] || { kill "$other_store" && wait "$other_store"; } 2>/dev/null || true
  rm -f "$other_store_log"
}

# --- the tests

readonly APART="e2e or compose or browser or stress"
fast() { COVERAGE_FILE=.coverage.fast make --no-print-directory check COVERAGE="--cov --cov-report="; }
slow() { COVERAGE_FILE=.coverage.slow $PYTEST -q -n 4 --durations=10 --cov --cov-report= -m "slow and not (engine or postgres or $APART)"; }
on_engine() {
  COVERAGE_FILE=.coverage.engine $PYTEST -q -n 5 --durations=10 --cov --cov-report= -m "(engine or postgres) and not ($APART)"
}
stress() { $PYTEST -q -n 4 --dist loadfile --durations=10 -m "stress and not (e2e or compose or browser)"; }
# Without containers beside them: each network that the engine makes lets Chromium break off its requests (ERR_NETWORK_CHANGED).
pages() { $PYTEST -q -n 3 --dist loadfile --durations=10 -m browser tests/web/pages; }
# Each module has a stack of its own, on its own ports.
end_to_end() {
  $PYTEST -q -n 3 --dist loadfile --durations=10 --ignore=tests/web/pages -m "(e2e or browser) and not (compose or exclusive or examples)"
}
# Their images are made here, and so neither for `make demo` nor for `make check`.
examples() {
  scripts/images.sh --examples && # a part goes on after a command that failed
    $PYTEST -q -n 3 --durations=10 -m examples
}
alone() { $PYTEST -q --durations=10 -m "compose or exclusive"; }
enough_coverage() {
  $COVERAGE combine --quiet && at_least "$PIPELINES_PERCENT_MIN" --include='pipelines/*' && at_least "$ALL_PERCENT_MIN"
}
at_least() { # at_least PERCENT OPTION...: what `coverage report` counts with these options
  local percent=$1
  shift
  $COVERAGE report --format=total --fail-under="$percent" "$@" && return
  $COVERAGE report "$@"
  warn "the tests must reach $percent % of the lines and branches above; .coverage has what they reached."
  return 1
}

$COVERAGE erase
step "check: lint, types, the fast tests" fast
step "tests that compute much" slow
step "tests on the engine and on PostgreSQL" on_engine
step "coverage: $PIPELINES_PERCENT_MIN % of pipelines, $ALL_PERCENT_MIN % of all" enough_coverage
step "large amounts, long histories" stress
step "pages in a browser" pages
step "end to end" end_to_end
step "the repositories in examples/" examples
start_other_store
step "docker compose, and tests that need the engine to themselves" alone
step "the main job with the containerd image store, which ran at the same time" finish_other_store

[ ${#failed[@]} -eq 0 ] || die "failed: $(printf "'%s' " "${failed[@]}")"
