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

# Process numbers; nothing for a process that has just ended.
children() { cat "/proc/$1/task/"*/children 2>/dev/null || true; }

# Is this script in the foreground of a terminal, whose Ctrl-C reaches the command by itself?
in_foreground() {
  local stat
  stat=$(cat /proc/$$/stat)
  # shellcheck disable=SC2086  # words; after the program's name: state, parent, group, session, terminal, foreground's group
  set -- ${stat##*) }
  [ "$3" = "$6" ]
}

# run_command [--in-namespace] COMMAND...: runs it and returns its exit status. TERM, HUP and INT are handed on to it, and its
# end is waited for: what the caller does afterwards must not happen under a command that still runs.
# --in-namespace: the command is unshare, which does not listen; its child does.
run_command() {
  local status pid signaled="" depth=""
  if [ "$1" = --in-namespace ]; then depth=child && shift; fi
  # The shell lets commands in the background ignore INT, and gives them no input.
  env --default-signal=INT,QUIT "$@" <&0 &
  pid=$!
  trap 'signaled=yes; hand_on TERM "$pid" "$depth"' TERM
  trap 'signaled=yes; hand_on HUP "$pid" "$depth"' HUP
  trap 'signaled=yes; in_foreground || hand_on INT "$pid" "$depth"' INT
  while :; do
    signaled="" status=0
    wait "$pid" || status=$?
    [ -n "$signaled" ] || break
  done
  trap - TERM HUP INT
  return "$status"
}

hand_on() { # hand_on SIGNAL PID [child]
  local target=$2
  [ -z "$3" ] || target=$(children "$2")
  # shellcheck disable=SC2086  # numbers, one word each
  kill -s "$1" $target 2>/dev/null || ! can_root || as_root kill -s "$1" $target 2>/dev/null || true
}
