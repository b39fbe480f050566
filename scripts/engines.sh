#!/usr/bin/env bash
# Runs the Docker Engines that people have, one after the other, beside this machine's own, and removes each afterwards.
#   engines.sh list                 their names
#   engines.sh has NAME             downloads it into the cache folder; fails with a message if it is not available
#   engines.sh with NAME COMMAND... runs a command with that engine at its default address; the exit status is the command's
#   engines.sh test [NAME...]       runs the tests that need an engine with each, or with these; ends with a table
# An engine comes from the Debian suite that has it, with that suite's own clients, and is unpacked into the cache folder:
# nothing is installed. It runs in its own namespaces (mounts, network, processes), so that it does not disturb another engine,
# and the kernel removes all of it with its last process. It reaches no other machine. Needs root, or sudo without a password.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
. "$HEADWAY_ROOT/scripts/stand_ins.sh"
sbin_path

# NAME SUITE WHO CONFIGURATION. The suites have 20.10 without buildx, 26.1 with buildx 0.13, 28.5 or newer with buildx 0.29.
# WHO runs it: root, or an ordinary user (rootless).
readonly CONTAINERD='{"features": {"containerd-snapshotter": true}}'
readonly ENGINES="bookworm bookworm root {}
trixie trixie root {}
trixie-containerd trixie root $CONTAINERD
sid sid root {}
sid-containerd sid root $CONTAINERD
sid-userns sid root {\"userns-remap\": \"headway\"}
sid-rootless sid user {}"
readonly PACKAGES="docker.io docker-cli containerd docker-buildx docker-compose tini"
# C programs: from this machine's own suite, because they need its C library.
readonly USER_PACKAGES="rootlesskit uidmap slirp4netns libslirp0"
readonly IMAGES="busybox:latest python:3.13-slim"
readonly WORK_FOLDERS=/var/tmp
readonly TESTS="engine and not (e2e or compose or browser)"

names() { cut -d' ' -f1 <<<"$ENGINES"; }
field_of() { sed -n "s/^$1 //p" <<<"$ENGINES" | cut -d' ' -f"$2"; } # field_of NAME NUMBERS
is_name() { names | grep -Fx -- "$1" >/dev/null; }

# Each list of packages has its own folder: a folder that an engine runs from is never changed.
tree_of() { # tree_of SUITE PACKAGES
  printf '%s/engines/%s-%s' "$(cache_dir)" "$1" "$(cksum <<<"$2" | cut -d' ' -f1)"
}
engine_tree() { tree_of "$(field_of "$1" 1)" "$PACKAGES"; } # engine_tree NAME
user_tree() { tree_of "$(own_suite)" "$USER_PACKAGES"; }
own_suite() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# --- downloading an engine

# apt with a state of its own: the machine's sources, lists and preferences are not touched.
private_apt() { # private_apt FOLDER ARGUMENT...
  local folder=$1
  shift
  apt-get -q -o Dir::Etc::SourceList="$folder/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$folder" \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null -o Dir::State::Status="$folder/status" \
    -o Dir::Cache="$folder" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2 "$@"
}

has_engine() { # has_engine NAME
  local why
  why=$(get "$1") || { warn "the engine $1 is not available: $why" && return 1; }
}

get() { # get NAME: prints why it is not available
  unpack "$(field_of "$1" 1)" "$PACKAGES" || return 1
  [ "$(field_of "$1" 2)" = root ] || unpack "$(own_suite)" "$USER_PACKAGES"
}

unpack() { # unpack SUITE PACKAGES
  local suite=$1 tree part source name
  tree=$(tree_of "$@")
  mkdir -p "${tree%/*}"
  exec 7>"$tree.lock" # two processes would write into the same folder
  flock 7
  [ ! -e "$tree/ready" ] || return 0
  source=$(debian_sources "$suite")
  [ -n "$source" ] || { echo "this machine's apt has no Debian source"; return 1; }
  part=$tree.part
  rm -rf "$part"
  mkdir -p "$part"/{lists,archives}/partial "$part/debs" "$part/root"
  printf '%s\n' "$source" >"$part/sources.list"
  : >"$part/status"
  private_apt "$part" update >"$part/log" 2>&1 || { echo "apt-get update failed: $(tail -n 1 "$part/log")"; return 1; }
  for name in $2; do # not every suite has each
    (cd "$part/debs" && private_apt "$part" download "$name") >"$part/log" 2>&1 ||
      grep 'Unable to locate package' "$part/log" >/dev/null ||
      { echo "$name cannot be downloaded: $(tail -n 1 "$part/log")"; return 1; }
  done
  compgen -G "$part/debs/${2%% *}_*" >/dev/null || { echo "Debian's $suite has no ${2%% *}"; return 1; }
  for name in "$part"/debs/*.deb; do dpkg -x "$name" "$part/root" || return 1; done
  # The machine's own runc is used: a newer one may need a newer libc than this machine has.
  rm -rf "$part/root"/usr/{bin,sbin}/runc "$part"/{debs,lists,archives}
  touch "$part/root/ready"
  mv "$part/root" "$tree"
  rm -rf "$part"
}

# --- running an engine

with_engine() { # with_engine NAME COMMAND...
  local name=$1 why variable kept=() sudo=()
  is_name "$name" || die "there is no engine $name; the names are: $(names | tr '\n' ' ')"
  can_root || die "an engine beside another needs root: run this as root, or allow sudo without a password prompt"
  why=$(get "$name") || die "the engine $name is not available: $why"
  is_root || sudo=(sudo -n --)
  for variable in PATH HOME CI LANG XDG_CACHE_HOME DOCKER_HOST HEADWAY_ENGINE_TESTS PYTEST_ADDOPTS; do
    [ -z "${!variable:-}" ] || kept+=("$variable=${!variable}")
  done
  run_command "${sudo[@]}" env "${kept[@]}" "$HEADWAY_ROOT/scripts/engines.sh" with-as-root "$(id -u):$(id -g)" "$@"
}

with_as_root() { # with_as_root USER:GROUP NAME COMMAND...
  local caller=$1 name=$2
  shift 2
  remove_dead_folders
  work=$(mktemp -d "$WORK_FOLDERS/headway-engine-$name-XXXXXX")
  chmod 711 "$work" # with user namespaces, other users must be able to pass through it
  exec 9>"$work/lock" # held for as long as the folder is used
  flock 9
  trap 'remove_folder "$work"' EXIT
  ! engine_answers || save_images "$work/images.tar"
  # When `unshare` ends, for any reason, the kernel kills all of its processes and removes their network and mounts.
  run_command --in-namespace setpriv --pdeathsig KILL \
    unshare --mount --net --pid --fork --mount-proc --kill-child --propagation private -- \
    env TREE="$(engine_tree "$name")" USER_TREE="$(user_tree)" WORK="$work" CALLER="$caller" \
    WHO="$(field_of "$name" 2)" CONFIGURATION="$(field_of "$name" 3-)" "$HEADWAY_ROOT/scripts/engine_inside.sh" "$@" 9>&-
}

# Saves the base images of this machine's own engine. Those that it does not have, scripts/images.sh makes inside.
save_images() { # save_images TAR
  local image there=()
  for image in $IMAGES; do
    ! docker image inspect "$image" >/dev/null 2>&1 || there+=("$image")
  done
  [ "${#there[@]}" -eq 0 ] || docker save --output "$1" "${there[@]}"
}

# A folder whose lock is free is a leftover of a run that was killed.
remove_dead_folders() {
  local folder
  for folder in "$WORK_FOLDERS"/headway-engine-*-??????; do
    [ ! -e "$folder/lock" ] || ! flock --nonblock "$folder/lock" true || remove_folder "$folder"
  done
}

remove_folder() { # remove_folder FOLDER
  rm -rf "$1"
  remove_cgroups "${1##*/}"
}

# --- testing all

test_all() { # test_all [NAME...]
  local name failed=0 table
  local -a wanted=("$@")
  [ ${#wanted[@]} -gt 0 ] || mapfile -t wanted < <(names)
  table=$(mktemp)
  for name in "${wanted[@]}"; do test_one "$name" "$table" || failed=1; done
  printf '\n%-18s %-14s %-5s %-11s %s\n' engine version API "image store" result
  cat "$table"
  rm -f "$table"
  return "$failed"
}

test_one() { # test_one NAME TABLE
  local why log tee status=0 began=$SECONDS
  say "engine $1 ..."
  if ! why=$(get "$1"); then
    warn "the engine $1 is not available: $why"
    printf '%-18s %s\n' "$1" "not tested: $why" >>"$2"
    [ -z "${CI:-}" ]
    return
  fi
  log=$(mktemp)
  # Not in a pipe: that would run it in a subshell, and this shell must forward signals to it.
  exec 3> >(tee "$log")
  tee=$!
  with_engine "$1" "$HEADWAY_ROOT/scripts/engines.sh" tests-inside >&3 3>&- || status=$?
  exec 3>&-
  wait "$tee" || true
  [ "$status" -lt 128 ] || exit "$status" # a signal ends the whole test, not one engine's
  printf '%-18s %-34s %s, %s s\n' "$1" "$(sed -n 's/^engine: //p' "$log")" \
    "$(grep -E '^[0-9]+ (passed|failed|error)|^=+ .*(passed|failed)' "$log" | tail -n 1 | sed 's/^=* *//; s/ in .*//')" \
    "$((SECONDS - began))" >>"$2"
  rm -f "$log"
  return "$status"
}

tests_inside() {
  cd "$HEADWAY_ROOT"
  docker version --format 'engine: {{printf "%-14s %-5s" .Server.Version .Server.APIVersion}}' | tr '\n' ' '
  docker info --format '{{range .DriverStatus}}{{index . 1}} {{end}}{{.Driver}}' | sed 's/.*io.containerd.snapshotter.v1.*/containerd/; s/.* //'
  .venv/bin/pytest -q -n 2 -m "${HEADWAY_ENGINE_TESTS:-$TESTS}" -p no:cacheprovider
}

case "${1:-}" in
  list) names ;;
  has) [ $# -eq 2 ] && is_name "$2" && has_engine "$2" ;;
  with-as-root) shift && with_as_root "$@" ;;
  with) [ $# -ge 3 ] || die "usage: engines.sh with NAME COMMAND..." && shift && with_engine "$@" ;;
  test) shift && test_all "$@" ;;
  tests-inside) tests_inside ;;
  *) die "usage: engines.sh list | has NAME | with NAME COMMAND... | test [NAME...]" ;;
esac
