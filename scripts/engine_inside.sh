#!/usr/bin/env bash
# engine_inside.sh COMMAND...: engines.sh starts it as the first process of new namespaces.
# Starts the engine that is unpacked in TREE, with its data in WORK, runs the command as CALLER, and stops the engine.
# With WHO=user the engine is rootless, and the command runs as the ordinary user whose engine it is.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
sbin_path
: "${TREE:?}" "${USER_TREE:?}" "${WORK:?}" "${CALLER:?}" "${WHO:?}" "${CONFIGURATION:?}"

readonly PLUGINS="/usr/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins /usr/local/lib/docker/cli-plugins
  /usr/local/libexec/docker/cli-plugins"
readonly PROGRAMS=/run/programs OWN_USER=63001 OWN_RUN=/run/user/63001 ASIDE=/run/aside
readonly START_S=60 STOP_S=40

# Hides the sockets and pid files of the machine's engine, so that ours can have the usual paths.
own_run() {
  mount -t tmpfs -o mode=755 none /run
  mkdir -p /run/lock "$PROGRAMS" "$PROGRAMS-user"
  mount --bind "$TREE" "$PROGRAMS" # where an ordinary user can read them
  [ "$WHO" = root ] || mount --bind "$USER_TREE" "$PROGRAMS-user"
  export PATH=$PROGRAMS/usr/bin:$PROGRAMS/usr/sbin:$PROGRAMS-user/usr/bin:$PATH
  busybox ifconfig lo up
}

# Shows docker only the plugins of this engine's own suite.
own_plugins() {
  local folder
  for folder in $PLUGINS; do
    [ -d "$folder" ] || continue
    if [ -d "$TREE$folder" ]; then mount --bind "$TREE$folder" "$folder"; else mount -t tmpfs none "$folder"; fi
  done
  export XDG_CACHE_HOME=${XDG_CACHE_HOME:-${HOME:-/root}/.cache} HOME=$WORK/home
  mkdir -p "$HOME"
}

# Adds a user named headway with subordinate ids, without writing to the machine's files.
own_users() {
  local file
  for file in passwd group subuid subgid; do
    [ -e "/etc/$file" ] || : >"/etc/$file"
    cp "/etc/$file" "$WORK/$file"
    case "$file" in
      passwd) printf 'headway:x:%s:%s::%s:/bin/sh\n' "$OWN_USER" "$OWN_USER" "$HOME" ;;
      group) printf 'headway:x:%s:\n' "$OWN_USER" ;;
      *) printf 'headway:2000000:65536\n' ;;
    esac >>"$WORK/$file"
    mount --bind "$WORK/$file" "/etc/$file"
  done
}

# Changes only the ids; `su` would also set the environment of a login.
as_own_user() { setpriv --reuid "$OWN_USER" --regid "$OWN_USER" --clear-groups -- "$@"; }

start() {
  printf '%s\n' "$CONFIGURATION" >"$WORK/daemon.json"
  if [ "$WHO" = root ]; then start_as_root; else start_as_user; fi
  if ! wait_for "$START_S" answers_or_died || ! engine_answers; then
    tail -n 15 "$WORK/log" >&2
    die "the engine does not start; its last log lines are above"
  fi
}

start_as_root() {
  chown "$CALLER" "$HOME"
  setsid dockerd --config-file "$WORK/daemon.json" --data-root "$WORK/data" --cgroup-parent "/${WORK##*/}/docker" \
    --group "${CALLER#*:}" >"$WORK/log" 2>&1 </dev/null &
  engine=$!
}

# Started as by `dockerd-rootless-setuptool.sh install`, with a network of its own, as always.
start_as_user() {
  export XDG_RUNTIME_DIR=$OWN_RUN DOCKER_HOST=unix://$OWN_RUN/docker.sock
  mkdir -p "$OWN_RUN" "$WORK/data" /dev/net
  # Writable for all users, as udev makes it.
  mount -t tmpfs none /dev/net
  mknod --mode=666 /dev/net/tun c 10 200
  chown "$OWN_USER:$OWN_USER" "$HOME" "$OWN_RUN" "$WORK/data"
  as_own_user env LD_LIBRARY_PATH="$(echo "$PROGRAMS-user"/usr/lib/*-linux-gnu)" setsid sh "$PROGRAMS/usr/share/docker.io/contrib/dockerd-rootless.sh" --config-file "$WORK/daemon.json" \
    --data-root "$WORK/data" >"$WORK/log" 2>&1 </dev/null &
  engine=$!
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

# What an ordinary user needs may be in a home that is closed to other users: a folder with nothing else replaces that home.
open_to_own_user() { # open_to_own_user PATH...
  local path closed
  mkdir -m 700 "$ASIDE"
  for path; do
    closed=$(closed_above "$path")
    if [ -n "$closed" ]; then
      mkdir -p "$ASIDE$closed"
      mount --bind "$closed" "$ASIDE$closed"
      mount -t tmpfs -o mode=755 none "$closed"
    fi
    [ ! -e "$ASIDE$path" ] || { mkdir -p "$path" && mount --bind "$ASIDE$path" "$path"; }
  done
}

# Prints the topmost parent folder that the user cannot enter; nothing if all are open.
closed_above() {
  local folder="" part parts
  IFS=/ read -ra parts <<<"${1#/}"
  for part in "${parts[@]}"; do
    folder+=/$part
    as_own_user test -x "$folder" || { [ ! -d "$folder" ] || printf '%s' "$folder" && return; }
  done
}

# A rootless engine reaches 127.0.0.1 of its own network only, so the command and its registries run in that network.
run_it() {
  local words=()
  if [ "$WHO" = user ]; then
    open_to_own_user "$HEADWAY_ROOT" "$(python_home)"
    export XDG_CACHE_HOME=$HOME/.cache
    words=(nsenter --net="/proc/$(cat "$OWN_RUN/dockerd-rootless/child_pid")/ns/net"
      setpriv --reuid "$OWN_USER" --regid "$OWN_USER" --clear-groups --)
  elif [ "$CALLER" != 0:0 ]; then
    words=(setpriv --reuid "${CALLER%:*}" --regid "${CALLER#*:}" --init-groups --)
  fi
  run_command "${words[@]}" "$@"
}

python_home() { dirname "$(dirname "$(realpath "$HEADWAY_ROOT/.venv/bin/python")")"; }

# The first process of a PID namespace receives only signals that it handles.
trap 'exit 143' TERM INT HUP
unset DOCKER_HOST DOCKER_CONTEXT DOCKER_CONFIG DOCKER_TLS_VERIFY DOCKER_CERT_PATH
own_run
own_plugins
own_users
start
trap stop EXIT
load_images
run_it "$@"
