#!/usr/bin/env bash
# Builds the Worker into build/: `--release` (the default, what is deployed)
# or `--dev` (quick to build, larger). Does nothing if build/ is up to date.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

profile=${1:-${HATCH_PROFILE:---release}}
stamp=build/.built$profile

up_to_date() {
  [ -f "$stamp" ] && [ -f build/index_bg.wasm ] &&
    [ -z "$(find src crates migrations templates build.rs Cargo.toml Cargo.lock .cargo scripts/{toolchain,bundle,build}.sh scripts/{order-functions,wasm}.js -newer "$stamp" -print -quit)" ]
}

# worker-build always keeps the names of functions, which are 70 KB of the upload after gzip. Before they go, they say
# in which order functions are: similar ones near each other are 105 KB less after gzip. Compact imports are a form that
# not every V8 reads: Node 22 does not.
finish_release() {
  node scripts/order-functions.js build/index_bg.wasm
  "$WASM_OPT_BIN" --all-features --disable-compact-imports --reorder-functions-by-name --strip-debug build/index_bg.wasm -o build/index_bg.wasm
}

if ! up_to_date; then
  ensure_toolchain
  say "building the Worker (${profile#--})"
  rm -f build/.built--*
  started=$(mktemp)
  PATH="$wasm_toolchain$PATH" worker-build "$profile"
  node scripts/build-templates.js
  [ "$profile" = --dev ] || finish_release
  # Takes the time of the start, so that a file saved during the build counts as newer.
  touch -r "$started" "$stamp"
  rm -f "$started"
fi
