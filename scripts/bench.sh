#!/usr/bin/env bash
# `npm run bench`: measures the release build beside its peer and the limits, and
# then its gateway beside Portkey's if that was installed by an earlier
# `npm run bench:gateway` (`bench.sh gateway`). With options it is only the first.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
bash scripts/build.sh --release
export HATCH_TOOLS
if [ "${1:-}" = gateway ]; then
  shift
  exec node bench/gateway.js "$@"
fi
node bench/run.js "$@"
if [ $# -eq 0 ] && [ -d "$HATCH_TOOLS/portkey-1.15.2" ]; then
  node bench/gateway.js --rounds 1
fi
