#!/usr/bin/env bash
# Bundles the console, the user interface in the browser, into public/. Does nothing
# if it is up to date.
cd "$(dirname "$0")/.."
. scripts/toolchain.sh

page=public/console.html

up_to_date() {
  [ -f "$page" ] && [ -z "$(find console package-lock.json scripts/build-console.sh -newer "$page" -print -quit)" ]
}

if ! up_to_date; then
  ensure_node_modules
  say "bundling the console"
  started=$(mktemp)
  node console/build.js
  # Takes the time of the start, so that a file saved during the build counts as newer.
  touch -r "$started" "$page"
  rm -f "$started"
fi
