#!/usr/bin/env bash
# Installs what the tests need where it is missing (Debian packages; Python programs into target/tools), then runs
# every test. Arguments go to `cargo test`; the output ends with its own summary.
#   bash tests/run.sh                       everything
#   bash tests/run.sh --test openbao        one file
#   bash tests/run.sh --install-only        only the first half
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "tests/run.sh: $*" >&2; }
die() { say "$*"; exit 1; }

target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR=$target
tools=$target/tools

command -v cargo >/dev/null || die "cargo is missing; install Rust first (the version in Cargo.toml or newer)"

# --- Debian packages -------------------------------------------------------------------------------------------------
missing=()
# need PACKAGE TEST...: notes the package when the test command fails
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { PATH=$PATH:/usr/sbin:/sbin command -v "$1"; }
need build-essential has cc
need postgresql bash -c 'ls /usr/lib/postgresql/*/bin/initdb || command -v initdb'
need postgresql-client has psql
need nginx-light has nginx
need haproxy has haproxy
need openssh-server has sshd
need openssh-client has ssh-keygen
need openssh-tests test -e /usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so
need tmux has tmux
need git has git
need util-linux has setpriv
need python3-venv python3 -c 'import ensurepip, venv'
if [ ${#missing[@]} -gt 0 ]; then
  say "installing ${missing[*]}"
  command -v apt-get >/dev/null || die "no apt-get here; install by hand: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; install by hand: ${missing[*]}"
    as_root=(sudo)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -q >&2 || die "apt-get update failed"
  "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
    die "cannot install ${missing[*]}"
fi

# --- Python programs -------------------------------------------------------------------------------------------------
stamp=$tools/installed.txt
if ! cmp -s tests/requirements.txt "$stamp" || ! "$tools/bin/python" -c '' 2>/dev/null; then
  say "installing tests/requirements.txt into $tools"
  rm -rf "$tools"
  python3 -m venv "$tools" || die "cannot make a Python environment in $tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r tests/requirements.txt >&2 ||
    die "cannot install tests/requirements.txt"
  cp tests/requirements.txt "$stamp"
fi
export COUNTERSIGN_TEST_BAO=$tools/bin/bao
export COUNTERSIGN_TEST_PYTHON=$tools/bin/python
export PATH=$PATH:$tools/bin:/usr/sbin:/sbin
"$COUNTERSIGN_TEST_BAO" version >&2 || die "the OpenBao binary does not run here"

if [ "${1:-}" = --install-only ]; then
  say "everything is installed"
  exit 0
fi

# --- the tests -------------------------------------------------------------------------------------------------------
# The development profile throughout, so that dependencies are built once; programs under test are built with it.
if [ $# -gt 0 ]; then
  exec cargo test --locked --features servers "$@"
fi
cargo test --locked --features servers --doc
exec cargo test --locked --features servers --no-fail-fast --lib --bins --tests
