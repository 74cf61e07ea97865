#!/usr/bin/env bash
# `npm test`: sets up what is missing and runs every test.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
say "rules: cargo fmt, clippy and the native tests"
cargo fmt --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
cargo test --quiet --workspace

export HATCH_PROFILE=--dev
bash scripts/build.sh
bash scripts/build-compiler.sh
say "the built Worker in workerd, on D1"
node --test --test-concurrency=2 "tests/**/*.test.js"
say "what has a database once more, on a real sqld as on Turso"
# But not what is about Claude's failures and clients: 2 minutes that would
# run the very SQL of chat.test.js. turso.test.js has a sqld of its own.
grep -lF "startWorker(" tests/*.test.js | grep -vE "/(turso|chat-faults|sdk)\.test\.js$" |
  DATABASE=turso xargs node --test --test-concurrency=2
