#!/usr/bin/env bash
# `npm run bench`: the release build beside its peer and the limit.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
bash scripts/build.sh --release
node bench/run.js "$@"
