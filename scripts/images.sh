#!/usr/bin/env bash
# Makes sure that the base images of Headway's demo, tests and Compose file are in the engine.
#   images.sh             busybox:latest, python:3.13-slim
#   images.sh IMAGE...    these
#   images.sh --compose   with those of docker-compose.yml: redis:7-alpine, registry:2, postgres:17-alpine
#   images.sh --examples  with those of the pipelines in examples/
# An image that is there is left alone. Else it is pulled if a registry can be reached, or made from Debian's packages under the same
# name and with the same interface (as far as Headway uses it). Images that were made are kept in the cache folder.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
. "$HEADWAY_ROOT/scripts/stand_ins.sh"
. "$HEADWAY_ROOT/scripts/stand_ins_of_examples.sh"
sbin_path

readonly BASIC="busybox:latest python:3.13-slim"
readonly COMPOSE="redis:7-alpine registry:2 postgres:17-alpine"
readonly EXAMPLES="golang:1.24 node:22-slim python:3.13 redis:7-alpine postgres:17-alpine"
readonly PROBE_S=10 PULL_S=600

is_there() { docker image inspect "$1" >/dev/null 2>&1; }

reachable="" # yes or no, once asked
registry_reachable() {
  [ -n "$reachable" ] || {
    reachable=no
    ! ask_registry buildx imagetools || reachable=yes
    [ "$reachable" = yes ] || ! ask_registry manifest || reachable=yes # a client without buildx
  }
  [ "$reachable" = yes ]
}

ask_registry() { with_timeout "$PROBE_S" docker "$@" inspect busybox:latest >/dev/null 2>&1; }

pull() {
  say "pulling $1 ..."
  with_timeout "$PULL_S" docker pull --quiet "$1" >/dev/null
}

can_make_images() { have apt-get && { can_root || have mmdebstrap; }; }

ensure() { # ensure IMAGE
  ! is_there "$1" || return 0
  if ! can_make_images; then
    # Docker's own message is printed above ours.
    pull "$1" || die "the engine has no image $1 and cannot pull it: fix what 'docker pull $1' reports, and run this again."
    return
  fi
  ! registry_reachable || ! pull "$1" || return 0
  stand_in "$1"
}

main() {
  local wanted=$BASIC image
  case "${1:-}" in
    --compose) wanted="$BASIC $COMPOSE" ;;
    --examples) wanted="$BASIC $EXAMPLES" ;;
    "") ;;
    -*) die "unknown option: $1 (known: --compose, --examples)" ;;
    *) wanted=$* ;;
  esac
  engine_answers || die "no Docker Engine answers: run scripts/engine.sh start"
  for image in $wanted; do ensure "$image"; done
}

main "$@"
