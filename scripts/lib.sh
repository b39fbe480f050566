# Shared by the scripts of this folder: sourced, never run.
# shellcheck shell=bash

set -euo pipefail

readonly HEADWAY_ROOT=${HEADWAY_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}

say() { printf 'headway: %s\n' "$*"; }
warn() { printf 'headway: %s\n' "$*" >&2; }
die() {
  warn "$@"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# Can this user become root without being asked for a password?
can_root() { is_root || { have sudo && sudo -n true 2>/dev/null; }; }

# Runs a command as root; the caller has asked can_root before.
as_root() {
  if is_root; then "$@"; else sudo -n -- "$@"; fi
}

# Debian keeps servers in sbin, which is not on everybody's PATH.
sbin_path() { PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; }

cache_dir() { printf '%s/headway' "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}"; }

# Does an engine answer this user? docker must be on PATH.
engine_answers() { have docker && timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# wait_for SECONDS COMMAND...: runs the command until it succeeds; 1 when the time is over.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}
