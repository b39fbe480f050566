#!/bin/sh
# Fetches the vendored browser assets again by npm, at exactly these versions, and checks them against SHA256SUMS.
# With --update it writes SHA256SUMS instead: read the change before committing it.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for package in htmx.org@4.0.1 @xterm/xterm@6.0.0 @xterm/addon-fit@0.11.0; do
  (cd "$work" && npm pack --silent "$package" >/dev/null && tar -xzf ./*.tgz && rm ./*.tgz)
  case $package in
    htmx.org@*)
      cp "$work/package/dist/htmx.min.js" htmx.min.js
      cp "$work/package/LICENSE" htmx.LICENSE
      ;;
    @xterm/xterm@*)
      cp "$work/package/lib/xterm.mjs" xterm.mjs
      cp "$work/package/css/xterm.css" xterm.css
      cp "$work/package/LICENSE" xterm.LICENSE
      ;;
    @xterm/addon-fit@*)
      cp "$work/package/lib/addon-fit.mjs" xterm-fit.mjs
      cp "$work/package/LICENSE" xterm-fit.LICENSE
      ;;
  esac
  rm -rf "$work/package"
done
chmod 644 ./*.js ./*.mjs ./*.css ./*.LICENSE
if [ "${1:-}" = --update ]; then
  sha256sum ./*.js ./*.mjs ./*.css ./*.LICENSE >SHA256SUMS
fi
sha256sum --check --quiet SHA256SUMS
