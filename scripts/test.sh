#!/usr/bin/env bash
# `npm test`: installs what is missing and runs every test.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
say "rules: oxlint, cargo fmt, clippy and the native tests"
oxlint
cargo fmt --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
cargo test --quiet --workspace

say "types: the console"
tsc -p console

export HATCH_PROFILE=--dev
bash scripts/build.sh
bash scripts/build-compiler.sh
bash scripts/build-console.sh
node scripts/size.js --dev

# This reporter lists the failed tests with their reasons at its end.
# One more file at a time than there are processors, because a test waits as often
# as it works.
concurrency=$(($(nproc) + 1))
statements=$(mktemp -d)
trap 'rm -rf "$statements"' EXIT
say "the built Worker in workerd, on D1"
STATEMENTS=$statements node --test --test-reporter=spec --test-concurrency="$concurrency" "tests/**/*.test.js"
say "how SQLite would run every statement that D1 was asked"
node --no-warnings tests/support/plans.js "$statements"
say "every statement that D1 was asked once more, on a real sqld as on Turso"
node tests/support/sqld-files.js "$statements" | DATABASE=turso xargs node --test --test-reporter=spec --test-concurrency="$concurrency"
