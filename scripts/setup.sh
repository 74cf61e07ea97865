#!/usr/bin/env bash
# Installs whatever is missing to build, run and test Hatch.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
ensure_toolchain
