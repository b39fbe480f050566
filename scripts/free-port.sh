#!/usr/bin/env bash
# free-port.sh VARIABLE PORT WHO: fails with a message if a program listens on the port already. Called before anything is set up.
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

variable=$1 port=$2 who=$3
if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  die "port $port is taken, and $who needs it. Take another: $variable=$((port + 1)) make demo"
fi
