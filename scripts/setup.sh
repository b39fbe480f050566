#!/usr/bin/env bash
# Makes .venv from requirements-dev.lock, with the `headway` command in it. Does nothing when it is up to date.
# HEADWAY_PYTHON names another interpreter than the first good one on PATH.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
cd "$HEADWAY_ROOT"

readonly VENV=.venv STAMP=.venv/.headway-setup

good_python() { "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

python="" # set by find_python

find_python() {
  local candidate
  for candidate in ${HEADWAY_PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
    if have "$candidate" && good_python "$candidate"; then
      python=$candidate
      return
    fi
  done
  return 1
}

need_python() {
  ! find_python || return 0
  [ -z "${HEADWAY_PYTHON:-}" ] || die "HEADWAY_PYTHON=$HEADWAY_PYTHON is not a Python 3.11 or newer with venv and ensurepip"
  scripts/machine.sh --python
  find_python || die "no Python 3.11 or newer with venv found (Debian 12, Ubuntu 24.04 and newer have one)." \
    "Or name one: make setup HEADWAY_PYTHON=/path/to/python3"
}

wanted=$(cat requirements-dev.lock pyproject.toml | sha256)
if [ -x "$VENV/bin/headway" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$wanted" ] &&
  [ "$(cat "$VENV/.headway-path" 2>/dev/null)" = "$PWD" ]; then
  exit 0
fi

need_python
say "making $VENV with $("$python" --version) ..."
rm -f "$STAMP"
# A venv whose interpreter was removed, or whose checkout was moved, cannot be repaired: it is made again.
if ! "$VENV/bin/python" -c '' 2>/dev/null || [ "$(cat "$VENV/.headway-path" 2>/dev/null)" != "$PWD" ]; then
  "$python" -m venv --clear "$VENV"
  printf '%s' "$PWD" >"$VENV/.headway-path"
fi
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
# The lock file is complete: pip resolves nothing, and installs nothing without a hash.
pip install -qq --require-hashes --no-deps -r requirements-dev.lock
pip install -qq --no-deps --no-build-isolation --no-index --editable .
printf '%s' "$wanted" >"$STAMP"
say "ready: $VENV/bin/headway"
