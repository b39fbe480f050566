#!/usr/bin/env bash
# A Docker Engine for this machine.
#   engine.sh start    uses the engine that answers already; else starts one: by systemd where that runs, else dockerd by hand
#   engine.sh stop     stops only what `start` started, with its containers, and removes the firewall's rules of workers
#   engine.sh status   says who started it; exit status 0 when an engine answers
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
sbin_path

# Below /run: only root writes there, and a restart of the machine clears it.
readonly STATE=/run/headway-engine
readonly BY_SYSTEMD=$STATE/systemd PID_FILE=$STATE/dockerd.pid LOG=$STATE/dockerd.log
readonly CONTAINERD_RUN=/var/run/docker/containerd
readonly START_S=60 STOP_S=40

# is_process PID NAME: the name is checked because process ids are reused
is_process() { [ -n "$1" ] && [ "$(cat "/proc/$1/comm" 2>/dev/null)" = "$2" ]; }
is_gone() { ! is_process "$1" "$2"; }
read_pid() { cat "$1" 2>/dev/null || true; }
root_engine_answers() { as_root timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }
not_ours() { ! [ -e "$BY_SYSTEMD" ] && ! is_process "$(read_pid "$PID_FILE")" dockerd; }

# --- start

start() {
  refuse_podman
  ! engine_answers || return 0
  # DOCKER_HOST or a docker context names an engine: no other one may be started instead.
  local named
  named=$(named_engine)
  [ -z "$named" ] || die "no Docker Engine answers at $named. Start it, or choose another" \
    "(docker context use default; unset DOCKER_HOST)."
  case "$(system)" in macos | wsl) die "no Docker Engine answers. $(engine_advice)" ;; esac
  can_root || die "no Docker Engine answers, and starting one needs root: run 'sudo systemctl start docker'," \
    "or this as root. If one runs, your user may not use it: sudo usermod -aG docker $(id -un), then log in again."
  if ! root_engine_answers; then as_root "$HEADWAY_ROOT/scripts/engine.sh" start-as-root; fi
  engine_answers || die "the engine runs, but $(id -un) may not use it: sudo usermod -aG docker $(id -un), then log in again" \
    "(or run the command through: sg docker -c '...')."
}

start_as_root() {
  have dockerd || die "no dockerd on this machine: run scripts/machine.sh"
  mkdir -p "$STATE"
  exec 9>"$STATE/lock"
  flock 9
  ! engine_answers || return 0 # another process was faster
  rm -f "$BY_SYSTEMD"
  if [ -d /run/systemd/system ]; then start_by_systemd; else start_by_hand; fi
}

start_by_systemd() {
  say "starting Docker Engine (systemctl start docker) ..."
  touch "$BY_SYSTEMD"
  if systemctl start docker && wait_for "$START_S" engine_answers; then return; fi
  journalctl -u docker -n 20 --no-pager >&2 || true
  die "Docker Engine does not start; its last log lines are above."
}

# Leftovers of a killed daemon make the next one hang or refuse to start.
clear_leftovers() {
  local file
  for file in /var/run/docker.pid "$PID_FILE"; do
    is_process "$(read_pid "$file")" dockerd || rm -f "$file"
  done
  if ! is_process "$(read_pid "$CONTAINERD_RUN/containerd.pid")" containerd; then
    rm -f "$CONTAINERD_RUN"/containerd.pid "$CONTAINERD_RUN"/containerd*.sock*
  fi
  # dockerd uses the machine's containerd if its socket exists, even if no process listens there any more.
  if [ -S /run/containerd/containerd.sock ] && ! listens /run/containerd/containerd.sock; then
    rm -f /run/containerd/containerd.sock*
  fi
}

# curl: 7 = could not connect
listens() {
  local status=0
  curl --silent --max-time 2 --output /dev/null --unix-socket "$1" http://localhost/ || status=$?
  [ "$status" -ne 7 ]
}

start_by_hand() {
  clear_leftovers
  local other
  other=$(read_pid /var/run/docker.pid)
  other=${other:-$(read_pid "$PID_FILE")}
  if [ -n "$other" ]; then
    say "dockerd (process $other) is there already, waiting for it to answer ..."
    wait_for "$START_S" engine_answers ||
      die "dockerd (process $other) does not answer. Stop it (scripts/engine.sh stop, or kill $other) and try again."
    return
  fi
  say "starting Docker Engine (dockerd by hand, log: $LOG) ..."
  # 9>&- closes the lock for the daemon, which would hold it as long as it lives.
  setsid dockerd --pidfile "$PID_FILE" >"$LOG" 2>&1 </dev/null 9>&- &
  local pid=$!
  if ! wait_for "$START_S" answers_or_died "$pid" || ! engine_answers; then
    tail -n 15 "$LOG" >&2
    ! is_process "$pid" dockerd || kill "$pid"
    die "Docker Engine does not start; its last log lines are above (all of them: $LOG)."
  fi
}

answers_or_died() { engine_answers || ! kill -0 "$1" 2>/dev/null; }

# --- stop

stop() {
  if not_ours; then
    say "nothing to stop: no engine was started from here"
    return 0
  fi
  can_root || die "stopping the engine needs root"
  as_root "$HEADWAY_ROOT/scripts/engine.sh" stop-as-root
}

stop_as_root() {
  exec 9>"$STATE/lock"
  flock 9
  remove_host_rules
  if [ -e "$BY_SYSTEMD" ]; then
    say "stopping Docker Engine (systemctl stop docker) ..."
    systemctl stop docker.socket docker.service
    rm -f "$BY_SYSTEMD"
    return
  fi
  stop_by_hand "$(read_pid "$PID_FILE")"
}

stop_by_hand() { # stop_by_hand PID
  local containerd
  is_process "$1" dockerd || return 0
  say "stopping Docker Engine (process $1) ..."
  containerd=$(read_pid "$CONTAINERD_RUN/containerd.pid")
  kill -TERM "$1" # ends its containers, then its containerd
  if ! wait_for "$STOP_S" is_gone "$1" dockerd; then
    warn "dockerd did not end within $STOP_S s; killing it and its containers"
    kill -KILL "$1" || true
    kill_containers
  fi
  if ! wait_for 5 is_gone "$containerd" containerd; then kill -KILL "$containerd" || true; fi
  rm -f "$PID_FILE"
}

# Each container is a child of a shim, which outlives the daemon. Ours are those that name our containerd's socket.
kill_containers() {
  local process pid
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    if command_line "$pid" | grep "containerd-shim.* -address [^ ]*$CONTAINERD_RUN/" >/dev/null; then
      # shellcheck disable=SC2046  # numbers, one word each
      kill -KILL $(children "$pid") "$pid" 2>/dev/null || true
    fi
  done
}

# Nothing for a process that has just ended.
command_line() { { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null || true; }

# --- status

status() {
  if ! engine_answers; then
    say "no Docker Engine answers"
    return 1
  fi
  local whose="not started from here, never stopped from here"
  not_ours || whose="started from here: scripts/engine.sh stop ends it"
  say "Docker Engine $(docker version --format '{{.Server.Version}}') answers ($whose)"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  status) status ;;
  start-as-root) start_as_root ;;
  stop-as-root) stop_as_root ;;
  *) die "usage: engine.sh start|stop|status" ;;
esac
