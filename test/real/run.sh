#!/usr/bin/env bash
# Tests against what npm cannot bring: a real device under the ledger, real system call faults. Linux, as root.
# Installs what it needs from Debian's packages; what cannot be had is named, and with CI set it fails the run.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
need() { # need COMMAND PACKAGE
  command -v "$1" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $2" >&2
    { apt-get install -y -q "$2" || { apt-get update -q && apt-get install -y -q "$2"; }; } >/dev/null 2>&1 || true
  fi
  command -v "$1" >/dev/null 2>&1 || missing+=("$1 (package $2)")
}

[ "$(id -u)" = 0 ] || missing+=("root, to mount file systems")
need strace strace
need mkfs.ext4 e2fsprogs
need mount mount

if [ ${#missing[@]} -gt 0 ]; then
  printf 'missing: %s\n' "${missing[@]}" >&2
  [ -z "${CI:-}" ] || exit 1
fi

node scripts/build.mjs --if-needed
exec npx vitest run --config vitest.real.config.ts
