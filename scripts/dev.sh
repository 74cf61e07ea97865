#!/usr/bin/env bash
# `npm run dev [-- wrangler flags]`: installs what is missing, migrates the
# database (local D1, or DATABASE_URL of --var or .dev.vars) and serves the API at http://localhost:8787.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

require_rust
ensure_node_modules

# Some of wrangler's flags concern the other commands here as well. As with
# wrangler dev, variables of the shell are ignored.
port=8787 persist=() database=(-u DATABASE_URL -u DATABASE_AUTH_TOKEN)
args=("$@")
for i in "${!args[@]}"; do
  case ${args[i]} in
    --port) port=${args[i + 1]:-8787} ;;
    --port=*) port=${args[i]#--port=} ;;
    --persist-to) persist=(--persist-to "${args[i + 1]:-}") ;;
    --persist-to=*) persist=(--persist-to "${args[i]#--persist-to=}") ;;
  esac
  # --var NAME:value …, or --var=NAME:value.
  var=${args[i]#--var=}
  case $var in
    DATABASE_URL:* | DATABASE_AUTH_TOKEN:*) database+=("${var%%:*}=${var#*:}") ;;
  esac
done

if [ ! -f .dev.vars ]; then
  say "writing .dev.vars from .dev.vars.example: your keys go there"
  cp .dev.vars.example .dev.vars
fi

export HATCH_PROFILE=--dev
bash scripts/build.sh
bash scripts/build-compiler.sh
bash scripts/build-console.sh

say "migrating the database"
env "${database[@]}" node scripts/migrate.js "${persist[@]}" >/dev/null

# wrangler dev does not run cron triggers. This loop does, once a minute, for as
# long as wrangler (which takes over this process) lives.
(
  while sleep 60 && kill -0 $$; do
    curl -fsS "http://localhost:$port/cdn-cgi/handler/scheduled?cron=*+*+*+*+*"
  done
) </dev/null >/dev/null 2>&1 &

exec wrangler dev --config wrangler.toml --config compiler/wrangler.toml "$@"
