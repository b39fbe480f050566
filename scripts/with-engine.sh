#!/usr/bin/env bash
# with-engine.sh [--compose] COMMAND...: starts a Docker Engine if none answers, gets the base images, and runs the command.
# Stops the engine afterwards if it started it. The exit status is the command's.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# A user who was just added to the group docker is a member from the next login on; with `sg` at once.
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

# run_command forwards TERM and Ctrl-C and waits for the command's end; then the trap stops the engine.
run_command "$@"
