#!/usr/bin/env bash
# `npm run test:schemathesis`: checks the Worker against its OpenAPI document.
# Needs Python 3.10 or newer; Schemathesis itself is installed from PyPI.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

SCHEMATHESIS_VERSION=4.32.5

ensure_toolchain
root="$HATCH_TOOLS/schemathesis-$SCHEMATHESIS_VERSION"
if [ ! -x "$root/bin/st" ]; then
  say "installing Schemathesis $SCHEMATHESIS_VERSION from PyPI"
  python3 -m venv "$root"
  "$root/bin/pip" install --quiet "schemathesis==$SCHEMATHESIS_VERSION"
fi
export PATH="$PATH:$root/bin"

HATCH_PROFILE=--dev bash scripts/build.sh
bash scripts/build-compiler.sh
bash scripts/build-console.sh
exec node --test tests/schemathesis/run.js
