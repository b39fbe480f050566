#!/usr/bin/env bash
# engine_beside.sh NAME FOLDER: runs a Docker Engine beside this machine's own, as on another machine, until TERM.
# The engine is this machine's program; its data is in FOLDER, and it answers at FOLDER/docker.sock.
# It has its own processes, mounts and host name (NAME), and starts again when it ends. The network is this machine's, so it reaches
# what listens on 127.0.0.1; its bridges are its own, and it writes no firewall rules.
# When the child process of `unshare` is killed, the kernel kills all of it at once, as when a machine loses its power.
# Needs root.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
sbin_path

# 198.18.0.0/15 is for tests (RFC 2544): no network that is in use has these addresses. Each engine gets 16 networks of 256.
readonly STATE=/run/headway-beside NUMBERS_MAX=16

block() { printf '198.18.%s' "$(($1 * 16 + $2))"; } # block NUMBER PART: the first three bytes of an address
bridge() { printf 'hw-beside-%s' "$1"; }
group() { printf 'headway-beside-%s' "$1"; }

# A number whose lock is free is not in use; what is left of it belongs to a run that was killed.
take_number() {
  mkdir -p "$STATE"
  for ((number = 0; number < NUMBERS_MAX; number++)); do
    exec 9>"$STATE/$number"
    if flock --nonblock 9; then
      remove_traces "$number"
      return
    fi
  done
  die "$NUMBERS_MAX engines run beside this machine's own already; stop one of them"
}

make_bridge() { # make_bridge NUMBER
  ip link add "$(bridge "$1")" type bridge
  ip address add "$(block "$1" 15).1/24" dev "$(bridge "$1")"
  ip link set "$(bridge "$1")" up
}

# An engine that was killed leaves the bridges of its networks.
remove_traces() { # remove_traces NUMBER
  local part device
  for ((part = 0; part < 16; part++)); do
    for device in $(ip -4 -o address show | grep -F " $(block "$1" "$part")." | cut -d' ' -f2); do
      ip link delete "$device" 2>/dev/null || true
    done
  done
  remove_cgroups "$(group "$1")"
}

run() { # run NAME FOLDER
  is_root || die "an engine beside another needs root"
  have ip || die "an engine beside another needs the program ip: install iproute2"
  have dockerd || die "no dockerd on this machine: run scripts/machine.sh"
  mkdir -p "$2"
  take_number
  trap 'remove_traces "$number"' EXIT
  make_bridge "$number"
  run_command --in-namespace setpriv --pdeathsig KILL \
    unshare --mount --pid --uts --fork --mount-proc --kill-child --propagation private -- \
    "$HEADWAY_ROOT/scripts/engine_beside.sh" inside "$1" "$2" "$number" 9>&-
}

# --- the first process of the namespaces

inside() { # inside NAME FOLDER NUMBER
  local stopping="" engine
  hostname "$1"
  mount -t tmpfs -o mode=755 none /run # with no socket, lock or process id of this machine's engine
  mkdir -p /run/lock
  trap 'stopping=yes; kill -TERM "$engine" 2>/dev/null || true' TERM INT HUP
  # Without --live-restore, an engine with address pools that starts for the second time deletes docker0 of this machine's own.
  while [ -z "$stopping" ]; do
    rm -f /run/docker.pid "$2/docker.sock"
    dockerd --data-root "$2/data" --exec-root /run/docker --pidfile /run/docker.pid --host "unix://$2/docker.sock" \
      --bridge "$(bridge "$3")" --default-address-pool "base=$(block "$3" 0).0/21,size=26" \
      --iptables=false --ip6tables=false --ip-masq=false --cgroup-parent "/$(group "$3")/docker" \
      --live-restore --shutdown-timeout 5 >>"$2/log" 2>&1 </dev/null &
    engine=$!
    await "$engine"
    [ -n "$stopping" ] || sleep 0.3
  done
}

# Returns when the process has ended: `wait` returns for a signal, too.
await() { # await PID
  while kill -0 "$1" 2>/dev/null; do wait "$1" || true; done
}

case $# in
  2) run "$@" ;;
  4) [ "$1" = inside ] && shift && inside "$@" ;;
  *) die "usage: engine_beside.sh NAME FOLDER" ;;
esac
