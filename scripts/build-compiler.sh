#!/usr/bin/env bash
# Builds the compiler of hosted apps into compiler/build/. One profile for
# development and deployment: it takes 3 minutes, and only when compiler/ has
# changed.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

out=compiler/build
stamp=$out/.built

up_to_date() {
  [ -f "$stamp" ] && [ -f "$out/compiler_bg.wasm" ] &&
    [ -z "$(find compiler/src compiler/Cargo.toml scripts/toolchain.sh scripts/build-compiler.sh -newer "$stamp" -print -quit)" ]
}

if ! up_to_date; then
  ensure_toolchain
  say "building the compiler of hosted apps (about 3 minutes, once)"
  mkdir -p "$out"
  rm -f "$stamp"
  started=$(mktemp)
  PATH="$wasm_toolchain$PATH" cargo build --quiet --package hatch-compiler --profile compiler --target "$WASM_TARGET"
  "$WASM_BINDGEN_BIN" --target module --experimental-reset-state-function --no-typescript \
    --out-dir "$out" --out-name compiler "${CARGO_TARGET_DIR:-target}/$WASM_TARGET/compiler/hatch_compiler.wasm"
  "$WASM_OPT_BIN" -Os "$out/compiler_bg.wasm" -o "$out/compiler_bg.wasm"
  # esbuild, and so wrangler, reads no source-phase import yet.
  sed -i.before 's/^import source /import /' "$out/compiler.js" && rm "$out/compiler.js.before"
  # Dated from the start, so that a file saved during the build counts as newer.
  touch -r "$started" "$stamp"
  rm -f "$started"
fi
