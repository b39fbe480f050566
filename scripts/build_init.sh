#!/usr/bin/env bash
# Compiles the first process of containers (runner/docker/init/init.c) for the architectures that Headway runs on.
# Needs gcc, and gcc-aarch64-linux-gnu for arm64. The version of Debian 12 gives the programs that are in the repository.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
readonly FOLDER=$HEADWAY_ROOT/runner/docker/init
readonly OPTIONS=(-Os -s -static -nostdlib -nostartfiles -ffreestanding -fno-builtin -fno-stack-protector -fno-pic -no-pie
  -fno-asynchronous-unwind-tables -fomit-frame-pointer -Wall -Wextra -Werror -Wl,--build-id=none -Wl,-z,noseparate-code)
readonly INTEL=(-fcf-protection=none -Wl,-z,max-page-size=4096)
readonly ARM=(-mno-outline-atomics -Wl,-z,max-page-size=65536)

out=${1:-$FOLDER} # a folder; in another than the repository's, arm64 is left out where its compiler is not there
arm=${CC_ARM64:-aarch64-linux-gnu-gcc}
"${CC_AMD64:-gcc}" "${OPTIONS[@]}" "${INTEL[@]}" -o "$out/init-amd64" "$FOLDER/init.c"
if [ "$out" = "$FOLDER" ] || have "$arm"; then
  "$arm" "${OPTIONS[@]}" "${ARM[@]}" -o "$out/init-arm64" "$FOLDER/init.c"
fi
sha256 <"$FOLDER/init.c" >"$out/source.sha256"
