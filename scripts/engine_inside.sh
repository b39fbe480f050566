#!/usr/bin/env bash
# engine_inside.sh TREE WORK CONFIGURATION USER:GROUP COMMAND...: called by engines.sh as the first process of new namespaces.
# Starts the engine that is unpacked in TREE, with its data in WORK, runs the command as that user, and stops the engine.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
sbin_path

readonly TREE=$1 WORK=$2 CONFIGURATION=$3 CALLER=$4
shift 4
readonly PLUGINS="/usr/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins /usr/local/lib/docker/cli-plugins
  /usr/local/libexec/docker/cli-plugins"
readonly START_S=60 STOP_S=40

# Sockets and pid files of the machine's engine are out of sight, and ours have the usual paths.
own_run() {
  mount -t tmpfs none /run
  mkdir -p /run/lock
}

# Only the plugins of this engine's own suite.
own_plugins() {
  local folder
  for folder in $PLUGINS; do
    [ -d "$folder" ] || continue
    if [ -d "$TREE$folder" ]; then mount --bind "$TREE$folder" "$folder"; else mount -t tmpfs none "$folder"; fi
  done
  export XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-/root}/.cache} HOME=$WORK/home
  mkdir -p "$HOME"
  chown "$CALLER" "$HOME"
}

# For `userns-remap`: the numbers of a user that the machine has, without writing to the machine's files.
own_subordinate_ids() {
  local file
  for file in /etc/subuid /etc/subgid; do
    [ -e "$file" ] || : >"$file"
    printf 'nobody:200000:65536\nnogroup:200000:65536\n' >"$WORK/${file##*/}"
    mount --bind "$WORK/${file##*/}" "$file"
  done
}

start() {
  printf '%s\n' "$CONFIGURATION" >"$WORK/daemon.json"
  busybox ifconfig lo up
  setsid dockerd --config-file "$WORK/daemon.json" --data-root "$WORK/data" --cgroup-parent "/${WORK##*/}/docker" \
    --group "${CALLER#*:}" >"$WORK/log" 2>&1 </dev/null &
  engine=$!
  if ! wait_for "$START_S" answers_or_died || ! engine_answers; then
    tail -n 15 "$WORK/log" >&2
    die "the engine does not start; its last log lines stand above"
  fi
}

answers_or_died() { engine_answers || ! kill -0 "$engine" 2>/dev/null; }
has_ended() { ! kill -0 "$1" 2>/dev/null; }

stop() {
  kill -TERM "$engine" 2>/dev/null || true
  wait_for "$STOP_S" has_ended "$engine" || warn "the engine did not end within $STOP_S s and is killed"
}

load_images() {
  [ ! -e "$WORK/images.tar" ] || docker load --quiet --input "$WORK/images.tar" >/dev/null
  "$HEADWAY_ROOT/scripts/images.sh" >/dev/null
}

run_as_caller() {
  local user=()
  [ "$CALLER" = 0:0 ] || user=(setpriv --reuid "${CALLER%:*}" --regid "${CALLER#*:}" --init-groups --)
  run_command "${user[@]}" "$@"
}

# The first process of a namespace hears only signals that it has a handler for.
trap 'exit 143' TERM INT HUP
own_run
own_plugins
own_subordinate_ids
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY DOCKER_CERT_PATH
export PATH=$TREE/usr/bin:$TREE/usr/sbin:$TREE/sbin:$PATH
start
trap stop EXIT
load_images
run_as_caller "$@"
