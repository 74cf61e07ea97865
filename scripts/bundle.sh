#!/usr/bin/env bash
# worker-build calls this in place of esbuild (toolchain.sh, ESBUILD_BIN): it bundles our
# own src/entry.js instead of the entry that worker-build has written.
# esbuild fails when the Wasm's glue lacks a name that it imports.
set -euo pipefail

root=$(dirname "$(dirname "$(readlink -f "$0")")")
[ -f shim.js ] || { echo "worker-build no longer bundles shim.js: scripts/bundle.sh must follow" >&2; exit 1; }
cp "$root/src/entry.js" shim.js
exec "$root/node_modules/.bin/esbuild" "$@"
