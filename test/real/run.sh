#!/usr/bin/env bash
# Tests against what npm cannot bring: real servers of others, a real device under the ledger, real system call faults.
# Linux; the devices and faults as root. Installs what it needs from Debian's packages, PyPI and the Go module proxy, the
# servers into a cache outside this tree (HALLPASS_REAL_CACHE). What cannot be had is named: its suites are skipped, and
# with CI set the run fails. Arguments go to vitest.
set -euo pipefail
cd "$(dirname "$0")/../.."

missing=()
need() { # need PACKAGE COMMAND...: the package, unless the command succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 && return
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $package" >&2
    { apt-get install -y -q "$package" || { apt-get update -q && apt-get install -y -q "$package"; }; } >/dev/null 2>&1 || true
  fi
  "$@" >/dev/null 2>&1 || missing+=("package $package")
}

[ "$(id -u)" = 0 ] || missing+=("root, to mount file systems")
need strace command -v strace
need e2fsprogs command -v mkfs.ext4
need mount command -v mount
need curl command -v curl
need openssl command -v openssl
need openssh-client command -v ssh
# Debian's python3 makes no environments without it.
need python3-venv python3 -c 'import ensurepip'

# DynamoDB Local comes by Maven, and is started from a source file.
need maven command -v mvn
need default-jdk-headless command -v javac

# Side by side: each has a folder of its own in the cache.
servers='dynamodb openbao ministack moto kubernetes mariadb redis sshd pgbouncer tlog'
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
