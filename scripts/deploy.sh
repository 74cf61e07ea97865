#!/usr/bin/env bash
# `npm run deploy [-- wrangler flags]`: builds the release and ships it. The
# compiler goes first: hatch's service binding names it.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_toolchain
bash scripts/build.sh --release
node scripts/size.js --release
bash scripts/build-console.sh
wrangler deploy --config compiler/wrangler.toml "$@"
wrangler deploy --config wrangler.toml "$@"
