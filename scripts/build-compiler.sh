#!/usr/bin/env bash
# Bundles the compiler of hosted apps into compiler/build/: JavaScript and
# esbuild's wasm, which npm has installed.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

out=compiler/build
stamp=$out/.built

up_to_date() {
  [ -f "$stamp" ] && [ -z "$(find compiler/src compiler/build.js package-lock.json scripts/build-compiler.sh -newer "$stamp" -print -quit)" ]
}

if ! up_to_date; then
  ensure_node_modules
  say "bundling the compiler of hosted apps"
  started=$(mktemp)
  node compiler/build.js
  # Takes the time of the start, so that a file saved during the build counts as newer.
  touch -r "$started" "$stamp"
  rm -f "$started"
fi
