#!/usr/bin/env bash
# Two checkers of transparency logs, neither with a line of ours: tlog-verify (beside this file, over golang.org/x/mod) and
# fsck of Tessera.
. "$(dirname "$0")/lib.sh"
FSCK=v1.0.4
SOURCE=$(cd "$(dirname "$0")/tlog-verify" && pwd)

case $MODE in
installed) [ -x "$CACHE/bin/tlog-verify" ] && [ ! "$SOURCE/main.go" -nt "$CACHE/bin/tlog-verify" ] && [ "$(cat "$CACHE/fsck" 2>/dev/null)" = "$FSCK" ] ;;
install)
  command -v go >/dev/null || { say 'needs Go'; exit 1; }
  mkdir -p "$CACHE/bin"
  (cd "$SOURCE" && go build -o "$CACHE/bin/tlog-verify" . && touch "$CACHE/bin/tlog-verify")
  if [ "$(cat "$CACHE/fsck" 2>/dev/null)" != "$FSCK" ]; then
    say "building Tessera's fsck $FSCK into $CACHE"
    GOBIN=$CACHE/bin go install "github.com/transparency-dev/tessera/cmd/fsck@$FSCK"
    echo "$FSCK" >"$CACHE/fsck"
  fi
  ;;
esac
