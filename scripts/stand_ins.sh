# Base images made from Debian's packages, for machines that reach no container registry: sourced by images.sh.
# shellcheck shell=bash disable=SC2016  # hooks are expanded by mmdebstrap

readonly CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
readonly PATH_ENV='ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

stand_in() { # stand_in IMAGE
  local tar changes=() recipe
  case "$1" in
    busybox:latest) recipe=busybox ;;
    python:3.13-slim) recipe=python ;;
    redis:7-alpine) recipe=redis ;;
    registry:2) recipe=registry ;;
    postgres:17-alpine) recipe=postgres ;;
    golang:1.24) recipe=example_golang ;;
    node:22-slim) recipe=example_node ;;
    python:3.13) recipe=example_python ;;
    *) die "no image $1 in the engine, no registry to pull it from, and no recipe for it" ;;
  esac
  "changes_$recipe"
  tar=$(cached_tar "$recipe")
  if [ ! -e "$tar" ]; then
    say "no registry can be reached: making $1 from Debian's packages ..."
    "$HEADWAY_ROOT/scripts/machine.sh" --images "$recipe"
    make_tar "$recipe" "$tar"
  fi
  docker import --message "stand-in made from Debian's packages" "${changes[@]/#/--change=}" "$tar" "$1" >/dev/null
}

# Kept under a name that changes with the recipe and with the certificates inside.
cached_tar() { # cached_tar RECIPE
  local key files=("$HEADWAY_ROOT/scripts/stand_ins.sh")
  case "$1" in example_*) files+=("$HEADWAY_ROOT/scripts/stand_ins_of_examples.sh") ;; esac
  key=$(cat "${files[@]}" "$CA_BUNDLE" 2>/dev/null | sha256 | cut -c1-16)
  printf '%s/images/%s-%s.tar' "$(cache_dir)" "$1" "$key"
}

make_tar() { # make_tar RECIPE TARGET
  local work
  mkdir -p "$(dirname "$2")"
  rm -f "$(dirname "$2")/$1"-*.tar # older ones
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$work'" EXIT
  # Half a tar must never look like a whole one.
  "make_$1" "$work" "$2.part" || die "making the $1 image failed"
  mv "$2.part" "$2"
  rm -rf "$work"
}

# --- busybox

changes_busybox() { changes=("$PATH_ENV" 'CMD ["sh"]'); }

busybox_root() { # busybox_root ROOT
  local root=$1 name
  mkdir -p "$root"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,sbin,var/tmp}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  cp /bin/busybox "$root/bin/busybox"
  for name in $(/bin/busybox --list); do
    [ "$name" = busybox ] || ln -sf busybox "$root/bin/$name"
  done
  ln -s /bin/env "$root/usr/bin/env"
  printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
}

pack() { # pack ROOT TARGET
  tar --create --file "$2" --directory "$1" --owner 0 --group 0 --numeric-owner .
}

make_busybox() { # make_busybox WORK TARGET
  busybox_root "$1/root"
  pack "$1/root" "$2"
}

# --- programs of this machine (scripts/machine.sh has installed them) with their libraries, on busybox

add_program() { # add_program ROOT PROGRAM: into /usr/local/bin
  local path library
  path=$(command -v "$2")
  mkdir -p "$1/usr/local/bin"
  cp -L "$path" "$1/usr/local/bin/$2"
  for library in $(ldd "$path" | grep -o '/[^ ]*'); do
    [ -e "$1$library" ] || cp -L --parents "$library" "$1"
  done
}

# --- Debian root file systems

# The machine's own package source, with the suite's name changed: no address stands in this file.
debian_sources() { # debian_sources SUITE
  local file
  for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list /etc/apt/sources.list; do
    [ -f "$file" ] || continue
    case "$file" in
      *.sources) awk -v suite="$1" 'BEGIN { RS = "" } /Types:[^\n]*deb/ && /Suites: *(bookworm|trixie)( |\n|$)/ {
          match($0, /URIs: *[^ \n]*/); sub(/URIs: */, "", $0); uri = substr($0, RSTART); sub(/[ \n].*/, "", uri)
          print "deb " uri " " suite " main"; exit }' "$file" ;;
      *) sed -nE "/^ *deb /{s/^ *deb +(\[[^]]*\] +)?([^ ]+) +(bookworm|trixie) .*/deb \2 $1 main/p;}" "$file" | head -n 1 ;;
    esac
  done | sed -n 1p
}

# Settings of this machine's apt that a root file system needs too (proxies, checks of dates).
apt_settings() { apt-config dump | grep -E '^Acquire::(Check-|https?::(Proxy|CaInfo)|Retries)' || true; }

# debian_root WORK TARGET SUITE PACKAGES [mmdebstrap's options...]; in its hooks, "$1" is the new root's folder
debian_root() {
  local work=$1 target=$2 suite=$3 packages=$4 sources
  shift 4
  sources=$(debian_sources "$suite")
  [ -n "$sources" ] || die "no container registry can be reached, and this machine's apt has no Debian source to make images from." \
    "Let the engine reach a registry (docker pull busybox must work), or load the images by hand: docker load."
  apt_settings >"$work/apt.conf"
  printf '%s\n' "$sources" >"$work/sources.list"
  as_root_or_userns mmdebstrap --quiet --format=tar --variant=minbase --include="$packages" --aptopt="$work/apt.conf" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/lib/*/libLLVM*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    "$@" "$suite" "$target" "$work/sources.list" >"$work/log" 2>&1 || {
    tail -n 15 "$work/log" >&2
    return 1
  }
}

as_root_or_userns() { if can_root; then as_root "$@"; else "$@"; fi; }

# --- python: with the host's certificates and package index, so that pip and apt work in a build on top of it

changes_python() {
  changes=("$PATH_ENV" 'ENV LANG=C.UTF-8' 'CMD ["python3"]')
  local name
  for name in SSL_CERT_FILE PIP_CERT REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS; do
    changes+=("ENV $name=$CA_BUNDLE")
  done
}

# pip's index, where the machine has one of its own. One with a password in it stays here: images travel.
pip_settings() {
  local index
  index=${PIP_INDEX_URL:-$(python3 -m pip config get global.index-url 2>/dev/null || true)}
  printf '[global]\ndisable-pip-version-check = true\nroot-user-action = ignore\n'
  case "$index" in "" | *@*) ;; *) printf 'index-url = %s\n' "$index" ;; esac
}

make_python() { # make_python WORK TARGET
  pip_settings >"$1/pip.conf"
  debian_root "$1" "$2" trixie python3,python3-venv,python3-pip,git,ca-certificates,make,curl \
    --customize-hook="upload '$1/pip.conf' /etc/pip.conf" \
    --customize-hook="upload '$CA_BUNDLE' $CA_BUNDLE" \
    --customize-hook='rm -f "$1"/usr/lib/python3.13/EXTERNALLY-MANAGED' \
    --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
}

# --- redis: `redis-server ARGS` or only the arguments; data in /data

changes_redis() {
  changes=("$PATH_ENV" 'VOLUME /data' 'WORKDIR /data' 'EXPOSE 6379'
    'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["redis-server"]')
}

make_redis() {
  local root=$1/root
  busybox_root "$root"
  mkdir "$root/data"
  add_program "$root" redis-server
  add_program "$root" redis-cli
  cat >"$root/usr/local/bin/docker-entrypoint.sh" <<'SH'
#!/bin/sh
case "${1:-}" in -* | *.conf) set -- redis-server "$@" ;; esac
# as in the image of this name: whoever shares the network may connect
if [ "$1" = redis-server ]; then set -- "$@" --protected-mode no; fi
exec "$@"
SH
  chmod 755 "$root/usr/local/bin/docker-entrypoint.sh"
  pack "$root" "$2"
}

# --- registry: on port 5000, data in /var/lib/registry, REGISTRY_* variables

changes_registry() {
  changes=("$PATH_ENV" 'VOLUME /var/lib/registry' 'EXPOSE 5000'
    'ENTRYPOINT ["/entrypoint.sh"]' 'CMD ["/etc/docker/registry/config.yml"]')
}

make_registry() {
  local root=$1/root
  busybox_root "$root"
  add_program "$root" docker-registry
  mkdir -p "$root/etc/docker/registry" "$root/etc/ssl/certs" "$root/var/lib/registry"
  cp -L "$CA_BUNDLE" "$root/etc/ssl/certs/"
  ln -s docker-registry "$root/usr/local/bin/registry"
  cat >"$root/entrypoint.sh" <<'SH'
#!/bin/sh
case "$1" in *.yaml | *.yml) set -- registry serve "$@" ;; serve | garbage-collect | help | -*) set -- registry "$@" ;; esac
exec "$@"
SH
  chmod 755 "$root/entrypoint.sh"
  cat >"$root/etc/docker/registry/config.yml" <<'YML'
version: 0.1
log: { fields: { service: registry } }
storage:
  cache: { blobdescriptor: inmemory }
  filesystem: { rootdirectory: /var/lib/registry }
http:
  addr: :5000
  headers: { X-Content-Type-Options: [nosniff] }
health:
  storagedriver: { enabled: true, interval: 10s, threshold: 3 }
YML
  pack "$root" "$2"
}

# --- postgres: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB at the first start; data in /var/lib/postgresql/data

changes_postgres() {
  changes=('ENV PATH=/usr/lib/postgresql/17/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    'ENV PGDATA=/var/lib/postgresql/data' 'ENV LANG=C.UTF-8' 'VOLUME /var/lib/postgresql/data' 'EXPOSE 5432'
    'STOPSIGNAL SIGINT' 'ENTRYPOINT ["docker-entrypoint.sh"]' 'CMD ["postgres"]')
}

make_postgres() {
  cat >"$1/entry" <<'SH'
#!/bin/sh
set -e
if [ "$1" != postgres ]; then exec "$@"; fi
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" /run/postgresql
  chown -R postgres:postgres "$PGDATA" /run/postgresql
  chmod 700 "$PGDATA"
  exec setpriv --reuid postgres --regid postgres --init-groups -- "$0" "$@"
fi
user=${POSTGRES_USER:-postgres}
database=${POSTGRES_DB:-$user}
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  if [ -z "${POSTGRES_PASSWORD:-}" ]; then
    echo "POSTGRES_PASSWORD must be set for the first start" >&2
    exit 1
  fi
  umask 077
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$user" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 --encoding=UTF8
  rm -f /tmp/password
  printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  # Only on the socket until the database is there: a health check over the network must not see half of it.
  pg_ctl -w start -o "-c listen_addresses=''"
  if [ "$database" != postgres ]; then createdb --username="$user" "$database"; fi
  pg_ctl -w -m fast stop
fi
exec "$@" -c listen_addresses='*'
SH
  debian_root "$1" "$2" trixie postgresql-17 \
    --essential-hook='mkdir -p "$1/etc/postgresql-common" && echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"' \
    --customize-hook="upload '$1/entry' /usr/local/bin/docker-entrypoint.sh" \
    --customize-hook='chmod 755 "$1/usr/local/bin/docker-entrypoint.sh"' \
    --customize-hook='mkdir -p "$1/var/lib/postgresql/data"'
}
