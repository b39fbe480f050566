#!/usr/bin/env bash
# Makes .venv from requirements-dev.lock, with the `headway` command in it. Does nothing when it is up to date.
# HEADWAY_PYTHON names another interpreter than the first good one on PATH.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$HEADWAY_ROOT"

readonly VENV=.venv STAMP=.venv/.headway-setup

good_python() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
  local candidate
  for candidate in ${HEADWAY_PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if have "$candidate" && good_python "$candidate"; then
      printf '%s' "$candidate"
      return
    fi
  done
  die "no Python 3.11 or newer with venv found. Install python3 and python3-venv (Debian 12+, Ubuntu 24.04+)," \
    "or name one: make setup HEADWAY_PYTHON=/path/to/python3"
}

wanted=$(sha256sum requirements-dev.lock pyproject.toml | sha256sum | cut -d' ' -f1)
if [ -x "$VENV/bin/headway" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] &&
  [ "$(cat "$VENV/.headway-path" 2>/dev/null)" = "$PWD" ]; then
  exit 0
fi

python=$(find_python)
say "making $VENV with $("$python" --version) ..."
rm -f "$STAMP"
# An interpreter that is gone, or a checkout that was moved, leaves a venv that cannot be mended.
if ! "$VENV/bin/python" -c '' 2>/dev/null || [ "$(cat "$VENV/.headway-path" 2>/dev/null)" != "$PWD" ]; then
  "$python" -m venv --clear "$VENV"
  printf '%s' "$PWD" >"$VENV/.headway-path"
fi
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
# The lock is complete: no resolving, and nothing without its hash.
pip install --quiet --require-hashes --no-deps -r requirements-dev.lock
pip install --quiet --no-deps --no-build-isolation --no-index --editable .
printf '%s' "$wanted" >"$STAMP"
say "ready: $VENV/bin/headway"
