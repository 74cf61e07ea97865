#!/usr/bin/env bash
# `npm test`: sets up what is missing and runs every test.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
say "rules: cargo fmt, clippy and the native tests"
cargo fmt --check
cargo clippy --quiet --all-targets -- -D warnings
cargo test --quiet

export HATCH_PROFILE=--dev
bash scripts/build.sh
say "the built Worker in workerd"
node --test --test-concurrency=1 "tests/**/*.test.js"
