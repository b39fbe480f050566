#!/usr/bin/env bash
# with-engine.sh [--compose] COMMAND...: starts a Docker Engine if none answers, gets the base images, and runs the command.
# Stops the engine afterwards if it started it, and removes the firewall's rules that workers set meanwhile. The exit status is the
# command's.
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

# What was here before stays: the engine, and the firewall's rules of a worker.
had_engine="" keep_rules=${HEADWAY_KEEP_HOST_RULES:-} # set by another with-engine.sh, which removes them at its end
if engine_answers; then had_engine=yes; fi
if has_host_rules; then keep_rules=yes; fi
export HEADWAY_KEEP_HOST_RULES=yes
leave() {
  [ -n "$keep_rules" ] || remove_host_rules
  [ -n "$had_engine" ] || "$HEADWAY_ROOT/scripts/engine.sh" stop
}
trap leave EXIT
if [ -z "$had_engine" ]; then
  "$HEADWAY_ROOT/scripts/engine.sh" start
  remove_stacks headway-test- # no test runs yet: the engine has just started these again
fi
"$HEADWAY_ROOT/scripts/images.sh" ${image_options[@]+"${image_options[@]}"} # bash before 4.4 takes an empty array for unset

# run_command forwards TERM and Ctrl-C and waits for the command's end; then the trap cleans up.
run_command "$@"
