#!/usr/bin/env bash
# AWS again, for denials: after POST /moto-api/reset-auth (body: how many calls stay unchecked) it enforces IAM and SigV4.
. "$(dirname "$0")/lib.sh"
PINS='moto[server]==5.2.5'

case $MODE in
installed) python_installed $PINS ;;
install) python_install $PINS ;;
start)
  spawn moto "$CACHE/venv/bin/moto_server" -H 127.0.0.1 -p "$PORT" "$@"
  await 20 answers "http://127.0.0.1:$PORT/moto-api/"
  serve
  ;;
esac
