#!/usr/bin/env bash
# with-engine.sh [--compose] COMMAND...: runs the command with a Docker Engine and the base images there.
# An engine that had to be started for it is stopped afterwards. The exit status is the command's.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Whoever has just been added to the group docker is in it at the next login; `sg` is in it now.
enter_docker_group() {
  local members
  ! is_root || return 0
  [[ " $(id -nG) " != *" docker "* ]] && have sg || return 0
  members=$(getent group docker | cut -d: -f4) || return 0 # no such group
  [[ ",$members," == *",$(id -un),"* ]] || return 0
  exec sg docker -c "$(printf '%q ' "$HEADWAY_ROOT/scripts/with-engine.sh" "$@")"
}

enter_docker_group "$@"

image_options=()
if [ "${1:-}" = --compose ]; then
  image_options=(--compose)
  shift
fi
[ $# -gt 0 ] || die "usage: with-engine.sh [--compose] COMMAND..."

if ! engine_answers; then
  trap '"$HEADWAY_ROOT/scripts/engine.sh" stop' EXIT
  "$HEADWAY_ROOT/scripts/engine.sh" start
fi
"$HEADWAY_ROOT/scripts/images.sh" ${image_options[@]+"${image_options[@]}"} # bash before 4.4 takes an empty array for unset

# TERM and Ctrl-C are for the command, which then ends as it sees fit; this script goes on to stop the engine.
run_command "$@"
