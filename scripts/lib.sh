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

# Can this user become root without a password prompt?
can_root() { is_root || { have sudo && sudo -n true 2>/dev/null; }; }

# Runs a command as root; the caller has asked can_root before.
as_root() {
  if is_root; then "$@"; else sudo -n -- "$@"; fi
}

# Debian keeps servers in sbin, which is not on every user's PATH. (Tests name another folder.)
sbin_path() { PATH=$PATH:${HEADWAY_SBIN:-/usr/local/sbin:/usr/sbin:/sbin}; }

cache_dir() { printf '%s/headway' "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}"; }

# with_timeout SECONDS COMMAND...: returns the command's exit status, or not 0 if the time was over. macOS has no `timeout`.
with_timeout() {
  if have timeout; then
    timeout "$@"
    return
  fi
  local seconds=$1 command
  shift
  "$@" &
  command=$!
  wait_for "$seconds" has_ended "$command" || kill "$command" 2>/dev/null || true
  wait "$command" 2>/dev/null
}
has_ended() { ! kill -0 "$1" 2>/dev/null; }

# The SHA-256 of standard input.
sha256() { { if have sha256sum; then sha256sum; else shasum -a 256; fi; } | cut -d' ' -f1; }

# Does an engine answer this user? False without docker on PATH.
engine_answers() { have docker && with_timeout 5 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# The engine that the user's settings name, if it is not this machine's default. No other engine may be used instead.
named_engine() {
  local context=${DOCKER_CONTEXT:-}
  if [ -n "${DOCKER_HOST:-}" ]; then
    printf 'DOCKER_HOST=%s' "$DOCKER_HOST"
  elif have docker; then
    [ -n "$context" ] || context=$(docker context inspect --format '{{.Name}}' 2>/dev/null) || true
    [ "${context:-default}" = default ] || printf 'the docker context %s' "$context"
  fi
}

# Podman can be installed as `docker` (podman-docker), or answer Docker's own client (its socket in DOCKER_HOST).
is_podman() {
  have docker || return 1
  case "$(docker --version 2>/dev/null)" in podman*) return 0 ;; esac
  case "$(with_timeout 5 docker version --format '{{range .Server.Components}}{{.Name}} {{end}}' 2>/dev/null)" in
    *Podman*) return 0 ;;
  esac
  return 1
}

refuse_podman() {
  ! is_podman || die "docker is Podman on this machine, and Headway does not run on Podman. Install Docker Engine with buildx" \
    "in its place (Fedora: sudo dnf swap podman-docker docker-cli && sudo dnf install moby-engine docker-buildx), or unset DOCKER_HOST" \
    "if it names Podman's socket. Then run this again."
}

# Without WSL integration, Docker Desktop's `docker` in a distribution is a link to its own disk, or a script that only prints an error.
is_wsl_of_docker_desktop() {
  case "$(command -v docker) $(readlink /usr/bin/docker)" in /mnt/* | *" /mnt/"*) return 0 ;; esac
  [ -d /mnt/wsl/docker-desktop ]
}

# One of: macos wsl debian fedora arch other
system() {
  local id=""
  if [ "$(uname -s)" = Darwin ]; then echo macos && return; fi
  if is_wsl_of_docker_desktop; then echo wsl && return; fi
  # shellcheck disable=SC1091  # the machine's own
  [ ! -r /etc/os-release ] || id=$(. /etc/os-release && echo " ${ID:-} ${ID_LIKE:-} ")
  case "$id" in
    *" debian "* | *" ubuntu "*) echo debian ;;
    *" fedora "*) echo fedora ;;
    *" arch "*) echo arch ;;
    *) echo other ;;
  esac
}

# What to do on this machine so that an engine answers, if Headway does not install or start one.
engine_advice() {
  local group
  group="sudo usermod -aG docker $(id -un)"
  case "$(system)" in
    macos) echo "Start Docker Desktop, OrbStack or Colima (install one of them if there is none), and run this again." ;;
    wsl) echo "Start Docker Desktop, switch on this distribution in its settings (Resources, WSL integration), and run this again." ;;
    fedora) echo "sudo dnf install moby-engine docker-cli docker-buildx && sudo systemctl enable --now docker && $group," \
      "then log in again and run this again." ;;
    arch) echo "sudo pacman -S docker docker-buildx && sudo systemctl enable --now docker && $group," \
      "then log in again and run this again." ;;
    *) echo "Install Docker Engine with buildx, start it, allow your user to use it ($group, then log in again), and run this again." ;;
  esac
}

# wait_for SECONDS COMMAND...: runs the command until it succeeds; returns 1 when the time is over.
wait_for() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

# The chains of the firewall that Headway's workers make (runner/network/host_rules.py).
readonly HOST_CHAINS="HEADWAY-JOBS HEADWAY-DEFAULT HEADWAY-FORWARD"

# Are rules of a worker set on this machine?
has_host_rules() {
  can_root && have iptables && as_root iptables -w 10 -t mangle -S 2>/dev/null | grep '^-N HEADWAY-' >/dev/null
}

# Removes the Compose projects whose names begin so. Tests that were killed leave some, with workers that set the firewall's rules.
remove_stacks() { # remove_stacks START
  local project of
  docker ps --all --filter label=com.docker.compose.project --format '{{.Label "com.docker.compose.project"}}' | sort -u |
    { grep "^$1" || true; } | while read -r project; do
    say "removing what is left of $project ..."
    of="label=com.docker.compose.project=$project"
    docker ps --all --quiet --filter "$of" | xargs -r docker rm --force --volumes >/dev/null
    docker network ls --quiet --filter "$of" | xargs -r docker network rm >/dev/null
    docker volume ls --quiet --filter "$of" | xargs -r docker volume rm >/dev/null
  done
}

# Removes these chains and the jumps to them, and nothing else.
remove_host_rules() {
  local program chain rule
  can_root || return 0
  for program in iptables ip6tables; do
    have "$program" || continue
    for chain in $HOST_CHAINS; do
      as_root "$program" -w 10 -t mangle -S 2>/dev/null | { grep -- "^-A .*-j $chain\$" || true; } |
        while read -r _ rule; do
          # shellcheck disable=SC2086  # the words of one rule
          as_root "$program" -w 10 -t mangle -D $rule </dev/null || true
        done || true # the program may know no table
      as_root "$program" -w 10 -t mangle -F "$chain" 2>/dev/null || true
      as_root "$program" -w 10 -t mangle -X "$chain" 2>/dev/null || true
    done
  done
}

# The engine makes a control group for its containers (in cgroup v1 one in each hierarchy) and does not remove it.
remove_cgroups() { # remove_cgroups NAME
  wait_for 5 no_cgroups_after_removal "$1" || warn "control groups named $1 are left below /sys/fs/cgroup"
}
no_cgroups_after_removal() {
  local folder
  for folder in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || return 1
  done
}

# Process ids; nothing for a process that has just ended.
children() { cat "/proc/$1/task/"*/children 2>/dev/null || true; }

# Is this script in the foreground of a terminal? Then Ctrl-C reaches the command without our help.
in_foreground() {
  local stat
  if [ ! -e /proc/$$/stat ]; then # macOS
    [ "$(ps -o pgid= -p $$ | tr -d ' ')" = "$(ps -o tpgid= -p $$ | tr -d ' ')" ]
    return
  fi
  stat=$(cat /proc/$$/stat)
  # shellcheck disable=SC2086  # words; after the program's name: state, parent, group, session, terminal, foreground's group
  set -- ${stat##*) }
  [ "$3" = "$6" ]
}

# run_command [--in-namespace] COMMAND...: runs it and returns its exit status. Forwards TERM, HUP and INT to it, and waits until it
# has ended: the caller's cleanup must not start while the command still runs.
# --in-namespace: the command is unshare, which ignores signals; they go to its child.
run_command() {
  local status pid="" signaled="" depth="" early=""
  if [ "$1" = --in-namespace ]; then depth=child && shift; fi
  # Before the command starts: a signal of the next moment would end this shell alone.
  trap 'got_signal TERM' TERM
  trap 'got_signal HUP' HUP
  trap 'signaled=yes; in_foreground || got_signal INT' INT
  # The shell makes background commands ignore INT, and gives them no input. Only GNU env can reset that; elsewhere a command
  # that wants Ctrl-C must handle INT itself, as the demo does.
  if env --default-signal=INT,QUIT true 2>/dev/null; then set -- env --default-signal=INT,QUIT "$@"; fi
  "$@" <&0 &
  pid=$!
  for signaled in $early; do forward_signal "$signaled" "$pid" "$depth"; done
  while :; do
    signaled="" status=0
    wait "$pid" || status=$?
    [ -n "$signaled" ] || break
  done
  trap - TERM HUP INT
  return "$status"
}

got_signal() { # got_signal SIGNAL: in run_command, whose variables it uses
  signaled=yes
  if [ -n "$pid" ]; then forward_signal "$1" "$pid" "$depth"; else early="$early $1"; fi
}

forward_signal() { # forward_signal SIGNAL PID [child]
  local target=$2
  [ -z "$3" ] || target=$(children "$2")
  # shellcheck disable=SC2086  # numbers, one word each
  kill -s "$1" $target 2>/dev/null || ! can_root || as_root kill -s "$1" $target 2>/dev/null || true
}
