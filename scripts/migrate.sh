#!/usr/bin/env bash
# `npm run db:migrate [-- wrangler flags]`: brings D1, or the server at
# DATABASE_URL, up to date with migrations/.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

ensure_node_modules
exec node scripts/migrate.js "$@"
