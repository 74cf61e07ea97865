#!/usr/bin/env bash
# `npm run bench`: measures the release build beside its peer and the limits.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
bash scripts/build.sh --release
node bench/run.js "$@"
