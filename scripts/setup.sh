#!/usr/bin/env bash
# Installs the missing tools to build, run and test Hatch.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh
ensure_toolchain
