#!/usr/bin/env bash
# Most of AWS on one port: Secrets Manager, KMS that signs, STS, DynamoDB. It checks no IAM and no signature: moto does.
. "$(dirname "$0")/lib.sh"
PINS='ministack==1.5.33 cryptography==50.0.2'

case $MODE in
installed) python_installed $PINS ;;
install) python_install $PINS ;;
start)
  # Without the first two it listens on every interface. Its pid goes into a file where temporary ones do.
  BIND_HOST=127.0.0.1 IOT_MTLS_ENABLED=0 GATEWAY_PORT=$PORT TMPDIR=$FOLDER spawn ministack "$CACHE/venv/bin/ministack" "$@"
  await 20 answers "http://127.0.0.1:$PORT/"
  serve
  ;;
esac
