#!/usr/bin/env bash
# Installs what Headway needs and this machine lacks, with apt (Debian 12/13, Ubuntu); does nothing when all is there.
# Where an engine answers, nothing is installed over it: no other engine, no other vendor's client or plugins.
#   machine.sh            what `make demo` needs: Python, git, and Docker Engine with buildx. Its registry and Redis are
#                         installed with the engine; where an engine is there already, they run as containers in it
#   machine.sh --bench    what `make bench` needs: with Redis, a registry and Compose on the machine itself
#   machine.sh --python   only a Python that can make a virtual environment
#   machine.sh --images   only what scripts/images.sh makes images from
#   machine.sh --tests    everything, with what the test suite starts: PostgreSQL, Chromium, sshd, gcc
# It asks nothing and starts nothing, and enables no service but Docker's own.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
sbin_path

readonly PLUGIN_DIRS="${HOME:-/root}/.docker/cli-plugins /usr/local/lib/docker/cli-plugins
  /usr/local/libexec/docker/cli-plugins /usr/lib/docker/cli-plugins /usr/libexec/docker/cli-plugins"
readonly NEWER_PIN=/etc/apt/preferences.d/headway-trixie
readonly POLICY=/usr/sbin/policy-rc.d
# Services that their package starts and enables on installation, on ports that may be wanted by others.
readonly QUIET_SERVICES="redis-server docker-registry postgresql ssh caddy nginx"

readonly ENGINE_PACKAGES='docker\.io|docker-cli|docker-ce[a-z-]*|containerd|containerd\.io|runc|moby-[a-z]*|podman-docker'

missing=() # what is missing, in words
packages=() # what apt would install for it

need() { # need WORDS PACKAGE...
  missing+=("$1")
  shift
  packages+=("$@")
}

has_plugin() { # has_plugin NAME
  local dir
  for dir in $PLUGIN_DIRS; do
    [ ! -x "$dir/docker-$1" ] || return 0
  done
  have docker && docker "$1" version >/dev/null 2>&1 # wherever docker's own settings say (Docker Desktop, Homebrew)
}

# Up to version 22 BuildKit is built into the client.
can_build() {
  ! has_plugin buildx || return 0
  case "$(docker --version 2>/dev/null)" in "Docker version 19."* | "Docker version 2"[0-2].*) return 0 ;; esac
  return 1
}

has_python() {
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    ! "$candidate" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || return 0
  done
  return 1
}

has_postgres() { have postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null; }
has_browser() { have chromium || have chromium-browser || have google-chrome; }

check_python() { has_python || need "Python 3.11+ with venv" python3 python3-venv; }

check_commands() {
  have git || need git git
  have curl || need curl curl
  have openssl || need openssl openssl
}

check_tools() {
  check_commands
  [ -e /etc/ssl/certs/ca-certificates.crt ] || need "CA certificates" ca-certificates
  have redis-server || need "Redis (redis-server)" redis-server
  have docker-registry || need "a container registry (docker-registry)" docker-registry
}

engine_is_here() { have dockerd || engine_answers; }

is_installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep ' installed$' >/dev/null; }

# Docker's own packages (docker-ce) and Debian's exclude each other: the installed ones decide whose plugins to install.
# `other`: an engine that apt did not install, such as Docker Desktop's.
docker_vendor() {
  if is_installed docker-ce-cli; then
    echo docker
  elif engine_is_here && ! is_installed docker.io && ! is_installed docker-cli; then
    echo other
  else
    echo debian
  fi
}

check_docker() {
  local vendor
  refuse_podman
  vendor=$(docker_vendor)
  engine_is_here || need "Docker Engine" "@engine"
  have docker || need "the docker command" "@cli"
  can_build || need "docker buildx" "@buildx-$vendor"
  has_plugin compose || need "docker compose" "@compose-$vendor"
}

# If there is an engine, or if this script cannot install, the demo's registry and Redis run as containers.
check_demo() {
  refuse_podman
  if ! engine_is_here && can_install; then
    check_tools
    check_docker
    return
  fi
  check_commands
  if ! engine_is_here; then
    need "Docker Engine" "@engine"
    return
  fi
  have docker || need "the docker command" "@cli"
  can_build || need "docker buildx" "@buildx-$(docker_vendor)"
}

announce_containers() {
  local absent=""
  have redis-server || have valkey-server || absent=Redis
  have docker-registry || absent="${absent:+$absent and }a registry"
  [ -z "$absent" ] || say "not installed here: $absent. For the demo they run as containers, which are removed at its end."
}

check_images() { # check_images [RECIPE]: of scripts/stand_ins.sh; two of them copy a program of this machine
  case "${1:-}" in
    redis) have redis-server || need "Redis (redis-server)" redis-server ;;
    registry) have docker-registry || need "a container registry (docker-registry)" docker-registry ;;
  esac
  have mmdebstrap || need mmdebstrap mmdebstrap
  { [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; } || need "a static busybox" busybox-static
}

check_tests() {
  has_postgres || need "PostgreSQL" postgresql
  have gcc || need "gcc" gcc
  has_browser || need "Chromium" "@chromium"
  have zstd || need zstd zstd
  have git-lfs || need git-lfs git-lfs
  have sshd || need "an ssh server (sshd)" openssh-server
  have caddy || need "Caddy" caddy
  have nginx || need nginx nginx
  (sbin_path && have ip) || need "the command ip" iproute2
}

check() {
  case "${1:-}" in
    --python) check_python ;;
    --images) check_images "${2:-}" ;;
    --bench) check_python && check_tools && check_docker ;;
    --tests) check_python && check_tools && check_docker && check_images && check_tests ;;
    "") check_python && check_demo ;;
    *) die "unknown option: $1 (known: --python, --images, --bench, --tests)" ;;
  esac
}

can_install() { have apt-get && can_root; }

# Ends with a message before anything is changed, if this script cannot install what is missing.
refuse_if_not_installable() { # refuse_if_not_installable MODE
  local lacks named
  lacks=$(printf ', %s' "${missing[@]}")
  lacks=${lacks:2}
  case " ${packages[*]} " in
    *" @engine "*)
      named=$(named_engine)
      [ -z "$named" ] || die "no Docker Engine answers at $named. Start it, or choose another" \
        "(docker context use default; unset DOCKER_HOST), and run this again."
      if ! can_install || [ "$(system)" = wsl ]; then die "no Docker Engine answers (missing: $lacks). $(engine_advice)"; fi
      ;;
    *-other" "*) die "missing: $lacks. Install it in the same way as Docker on this machine, so that the versions match, and run this again." ;;
  esac
  can_install || die "missing: $lacks. $(install_advice "$1")"
}

install_advice() { # install_advice MODE
  case "$1" in
    --tests | --bench) echo "The tests and the benchmark start these programs themselves and install them with apt:" \
      "run this on Debian 12 or 13 or on Ubuntu, as root or with sudo without a password prompt ('sudo -v' first)." \
      "'make check' and 'make demo' do not need them." && return ;;
  esac
  case "$(system)" in
    debian | wsl) echo "Run 'sudo apt-get install $(package_hint)', or 'sudo -v', and then this again." ;;
    fedora) echo "Run 'sudo dnf install $(package_hint | sed 's/ python3-venv//')', and then this again." ;;
    arch) echo "Run 'sudo pacman -S $(package_hint | sed 's/python3 python3-venv/python/')', and then this again." ;;
    macos) echo "Run 'brew install $(package_hint | sed 's/python3 python3-venv/python/')', and then this again." ;;
    *) echo "Install it with this machine's package manager, and run this again." ;;
  esac
}

package_hint() { echo "${packages[*]}" | sed 's/@engine/docker.io/; s/@cli/docker-cli/; s/@\([a-z]*\)-[a-z]*/docker-\1/g; s/@//g'; }

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get -q -o DPkg::Lock::Timeout=300 \
    -o Acquire::Retries=2 -o Dpkg::Use-Pty=0 "$@" </dev/null
}

# (not grep -q: it ends the pipe early, which pipefail reports as a failure)
has_candidate() { apt-cache policy "$1" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null; }

resolved=()

# Resolves to the first of these packages that apt knows.
resolve_first() { # resolve_first SUITE PACKAGE...
  local suite=$1 name
  shift
  for name in "$@"; do
    if has_candidate "$name"; then
      resolved+=("$name$suite")
      return
    fi
  done
  give_up "apt knows none of these packages here: $*"
}

# --- Debian 12 has an old engine and no buildx; Debian 13's packages run on it.

needs_newer_suite() {
  [[ " ${packages[*]} " =~ " @"(engine|cli|buildx-debian|compose-debian)" " ]] &&
    grep -q '^VERSION_CODENAME=bookworm' /etc/os-release
}

# The machine's own Debian sources, with the suite's name changed. Prints deb822 stanzas or one-line entries.
newer_sources() { # newer_sources FILE
  case "$1" in
    *.sources)
      awk 'BEGIN { RS = ""; ORS = "\n\n" }
        /(^|\n)Types:[^\n]*deb/ && /(^|\n)Suites:[^\n]* bookworm( |\n|$)/ && !/(^|\n)Enabled: *no/ {
          sub(/Suites:[^\n]*/, "Suites: trixie"); print }' "$1"
      ;;
    *) sed -nE '/^ *deb( | *\[)/ s/ bookworm( .*)$/ trixie\1/p' "$1" ;;
  esac
}

# Ends before anything is installed, and leaves the machine as it was.
give_up() { # give_up REASON
  remove_added_suite
  die "$1. Nothing was installed. Does this machine reach its package source? 'apt-get update' says why not."
}

remove_added_suite() { [ -z "$added_suite" ] || as_root rm -f "$added_suite" "$NEWER_PIN"; }

added_suite="" # the file that names it, if this run wrote it

add_newer_suite() {
  local file text target
  for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list; do
    [ -f "$file" ] || continue
    case "$file" in */headway-trixie.*) continue ;; esac
    text=$(newer_sources "$file")
    [ -n "$text" ] || continue
    target=/etc/apt/sources.list.d/headway-trixie.list
    case "$file" in *.sources) target=${target%.list}.sources ;; esac
    [ -e "$target" ] || added_suite=$target
    printf '%s\n' "$text" | as_root tee "$target" >/dev/null
    # Low priority: apt takes only packages from there that are requested with the suite's name.
    printf 'Package: *\nPin: release n=trixie\nPin-Priority: 50\n' | as_root tee "$NEWER_PIN" >/dev/null
    return
  done
  die "Debian 12 has no docker buildx, and no source of Debian packages was found under /etc/apt to take Debian 13's from." \
    "Install Docker Engine 23 or newer with the buildx and Compose plugins by hand."
}

resolve_packages() {
  local suite="" name
  ! needs_newer_suite || suite=/trixie
  resolved=()
  for name in "${packages[@]}"; do
    case "$name" in
      @engine) resolved+=("docker.io$suite" "containerd$suite") ;;
      @cli) resolve_first "$suite" docker-cli docker.io ;;
      @buildx-debian) resolve_first "$suite" docker-buildx docker-buildx-plugin ;;
      # Debian 12's own docker-compose is the first, Python one.
      @compose-debian) resolve_first "$suite" docker-compose-v2 docker-compose docker-compose-plugin ;;
      @buildx-docker) resolved+=(docker-buildx-plugin) ;;
      @compose-docker) resolved+=(docker-compose-plugin) ;;
      @chromium) resolve_first "" chromium chromium-browser ;;
      *) resolved+=("$name") ;;
    esac
  done
  packages=("${resolved[@]}")
}

# --- New services are neither started nor enabled.

block_service_starts() {
  [ ! -e "$POLICY.headway-saved" ] || allow_service_starts # an earlier run was killed
  [ ! -e "$POLICY" ] || as_root mv "$POLICY" "$POLICY.headway-saved"
  trap allow_service_starts EXIT
  printf '#!/bin/sh\n# headway: no service starts during apt-get install\nexit 101\n' | as_root tee "$POLICY" >/dev/null
  as_root chmod 755 "$POLICY"
}

allow_service_starts() {
  if grep -qs '^# headway:' "$POLICY"; then as_root rm -f "$POLICY"; fi
  if [ -e "$POLICY.headway-saved" ]; then as_root mv "$POLICY.headway-saved" "$POLICY"; fi
}

disable_new_services() { # disable_new_services PACKAGE...: those just installed
  local service
  have update-rc.d || return 0 # it knows systemd too
  # The service of openssh-server is called ssh.
  for service in $QUIET_SERVICES; do
    if [[ " $* " == *" ${service/#ssh/openssh-server} "* ]]; then as_root update-rc.d "$service" disable >/dev/null 2>&1 || true; fi
  done
}

# Members of the group that owns Docker's socket need no sudo. The membership counts from the next login on,
# and in scripts/with-engine.sh at once.
join_docker_group() {
  is_root || ! getent group docker >/dev/null || [[ " $(id -nG "$(id -un)") " == *" docker "* ]] || {
    say "adding $(id -un) to the group docker, which may use the engine"
    as_root usermod -aG docker "$(id -un)"
  }
}

# An engine that answers is not changed, nor are its packages.
keep_engine() { # keep_engine PLAN WORDS: the plan is the output of apt-get --simulate
  local touched
  touched=$(printf '%s\n' "$1" | sed -nE "s/^(Inst|Remv) ($ENGINE_PACKAGES) .*/\2/p" | tr '\n' ' ')
  [ -z "$touched" ] || {
    remove_added_suite
    die "a Docker Engine answers here, and apt would change what belongs to it: ${touched% }. Nothing was installed." \
      "Install what is missing in the same way as Docker on this machine: $2."
  }
}

install_packages() {
  local list
  list=$(printf ', %s' "${missing[@]}")
  say "installing ${list:2} ..."
  ! needs_newer_suite || add_newer_suite
  apt_get update >/dev/null || give_up "apt-get update failed"
  resolve_packages
  # All or nothing: if one package is not available, none is unpacked.
  local plan
  plan=$(apt_get install --simulate --no-install-recommends "${packages[@]}") ||
    give_up "apt-get cannot install: ${packages[*]} (the reason is above)"
  ! engine_answers || keep_engine "$plan" "${list:2}"
  block_service_starts
  local log
  log=$(mktemp)
  if ! apt_get install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1; then
    tail -n 25 "$log" >&2
    rm -f "$log"
    die "apt-get install failed; its last lines are above. Fix that and run this again: it continues from there."
  fi
  rm -f "$log"
  allow_service_starts
  disable_new_services "${packages[@]}"
  [[ " ${packages[*]} " != *" docker.io"* ]] || join_docker_group
}

main() {
  check "$@"
  [ "${#missing[@]}" -gt 0 ] || return 0
  refuse_if_not_installable "${1:-}"
  install_packages
  missing=() packages=()
  check "$@"
  [ "${#missing[@]}" -eq 0 ] || die "still missing after the installation: ${missing[*]}"
}

main "$@"
[ $# -gt 0 ] || announce_containers
