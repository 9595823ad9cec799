#!/usr/bin/env bash
# PgBouncer of Debian in transaction mode, in front of the PostgreSQL at 127.0.0.1:POSTGRES_PORT; at most one connection for
# each user there. It asks `pooler.login_of(name)` of the database for a user's verifier, as the user "pooler", password
# "not-a-real-password", who may also look into it (SHOW POOLS). It refuses to run as root, so root runs it as nobody.
. "$(dirname "$0")/lib.sh"
ROOT=$CACHE/root

case $MODE in
installed) [ -x "$ROOT/usr/sbin/pgbouncer" ] ;;
install) debian_install usr/sbin/pgbouncer pgbouncer libevent-2.1-7 libc-ares2 ;;
start)
  # Nobody cannot reach the cache of whoever runs this.
  cp "$ROOT/usr/sbin/pgbouncer" "$ROOT"/usr/lib/*-linux-gnu/lib*.so.* .
  chmod 755 .
  echo '"pooler" "not-a-real-password"' >users
  cat >pgbouncer.ini <<END
[databases]
* = host=127.0.0.1 port=${POSTGRES_PORT:-1}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $PORT
unix_socket_dir =
pool_mode = transaction
default_pool_size = 1
max_client_conn = 1000
auth_type = scram-sha-256
auth_file = $FOLDER/users
auth_user = pooler
auth_query = SELECT name, verifier FROM pooler.login_of(\$1)
stats_users = pooler
END
  as_nobody=
  [ "$(id -u)" != 0 ] || as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
  LD_LIBRARY_PATH=$FOLDER spawn pgbouncer $as_nobody "$FOLDER/pgbouncer" pgbouncer.ini "$@"
  await 10 listens "$PORT"
  serve
  ;;
esac
