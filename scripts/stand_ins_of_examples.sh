# Stand-ins for the images that the pipelines in examples/ name, with what their commands call and no more: sourced by images.sh,
# after stand_ins.sh.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154  # hooks are expanded by mmdebstrap; changes is of stand_in

# --- golang: with gotestsum, which `go install` fetches where the image is the real one

changes_example_golang() {
  changes=('ENV PATH=/go/bin:/usr/lib/go-1.24/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    'ENV GOPATH=/go' 'ENV GOTOOLCHAIN=local' 'WORKDIR /go' 'CMD ["bash"]')
}

make_example_golang() { # make_example_golang WORK TARGET
  debian_root "$1" "$2" trixie golang-1.24-go,gotestsum,ca-certificates,git \
    --customize-hook='mkdir -p "$1/go/bin" "$1/go/src" && chmod -R 1777 "$1/go"'
}

# --- node: Debian 13 has version 20, in which all that the example uses is as in 22

changes_example_node() { changes=("$PATH_ENV" 'CMD ["node"]'); }

make_example_node() { debian_root "$1" "$2" trixie nodejs; }

# --- python, not slim: with the packages of the example's requirements, so that pip finds them there and downloads nothing

changes_example_python() { changes=("$PATH_ENV" 'ENV LANG=C.UTF-8' 'CMD ["python3"]'); }

make_example_python() {
  printf '[global]\ndisable-pip-version-check = true\nroot-user-action = ignore\n' >"$1/pip.conf"
  debian_root "$1" "$2" trixie python3,python3-pip,python3-psycopg,python3-pytest,python3-pytest-cov \
    --customize-hook="upload '$1/pip.conf' /etc/pip.conf" \
    --customize-hook='rm -f "$1"/usr/lib/python3.13/EXTERNALLY-MANAGED' \
    --customize-hook='ln -s /usr/bin/python3 "$1/usr/local/bin/python"'
}
