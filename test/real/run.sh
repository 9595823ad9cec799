#!/usr/bin/env bash
# Tests against what npm cannot bring: real servers of others, a real device under the ledger, real system call faults.
# Linux; the devices and faults as root. Installs what it needs from Debian's packages, PyPI and the Go module proxy, the
# servers into a cache outside this tree (HALLPASS_REAL_CACHE). What cannot be had is named: its suites are skipped, and
# with CI set the run fails. Arguments go to vitest.
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

# Side by side: each has a folder of its own in the cache.
servers='openbao ministack moto kubernetes'
for server in $servers; do bash "test/real-servers/$server.sh" install & done
wait
for server in $servers; do
  bash "test/real-servers/$server.sh" installed >/dev/null 2>&1 || missing+=("$server (test/real-servers/$server.sh)")
done

if [ ${#missing[@]} -gt 0 ]; then
  printf 'missing: %s\n' "${missing[@]}" >&2
  [ -z "${CI:-}" ] || exit 1
fi

node scripts/build.mjs --if-needed
exec npx vitest run --config vitest.real.config.ts "$@"
