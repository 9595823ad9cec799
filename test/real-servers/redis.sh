#!/usr/bin/env bash
# Redis of Debian. "admin", password "not-a-real-password", may do everything, the default user nothing.
# With TLS_CERTIFICATE and TLS_KEY (files) in the environment it takes TLS on PORT + 1.
. "$(dirname "$0")/lib.sh"
ROOT=$CACHE/root
export LD_LIBRARY_PATH=$(echo "$ROOT"/usr/lib/*-linux-gnu)

case $MODE in
installed) [ -x "$ROOT/usr/bin/redis-server" ] ;;
install) debian_install usr/bin/redis-server redis-server redis-tools libjemalloc2 liblzf1 ;;
start)
  cat >redis.conf <<END
port $PORT
bind 127.0.0.1
dir $FOLDER
save ""
user default off
user admin on >not-a-real-password ~* &* +@all
END
  [ -z "${TLS_CERTIFICATE:-}" ] || cat >>redis.conf <<END
tls-port $((PORT + 1))
tls-cert-file $TLS_CERTIFICATE
tls-key-file $TLS_KEY
tls-auth-clients no
tls-ca-cert-file $TLS_CERTIFICATE
END
  spawn redis "$ROOT/usr/bin/redis-server" redis.conf "$@"
  await 10 listens "$PORT"
  serve
  ;;
esac
