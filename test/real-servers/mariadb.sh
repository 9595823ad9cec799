#!/usr/bin/env bash
# MariaDB of Debian. "admin", password "not-a-real-password", may do everything. FOLDER/statements.log has every statement.
# With TLS_CERTIFICATE and TLS_KEY (files) in the environment it takes TLS as well.
. "$(dirname "$0")/lib.sh"
ROOT=$CACHE/root
export LD_LIBRARY_PATH=$(echo "$ROOT"/usr/lib/*-linux-gnu)

case $MODE in
installed) [ -x "$ROOT/usr/sbin/mariadbd" ] ;;
install) debian_install usr/sbin/mariadbd mariadb-server-core mariadb-server mariadb-client-core libaio1 liburing2 ;;
start)
  as=
  [ "$(id -u)" != 0 ] || as=--user=root
  bash "$ROOT/usr/bin/mariadb-install-db" --no-defaults $as --basedir="$ROOT/usr" --datadir="$FOLDER/data" \
    --auth-root-authentication-method=normal --skip-test-db --force >init.log 2>&1
  # One statement a line: the server reads it so.
  cat >init.sql <<'END'
CREATE USER admin@'127.0.0.1' IDENTIFIED BY 'not-a-real-password';
GRANT ALL ON *.* TO admin@'127.0.0.1' WITH GRANT OPTION;
END
  spawn mariadb "$ROOT/usr/sbin/mariadbd" --no-defaults $as --basedir="$ROOT/usr" --plugin-dir="$ROOT/usr/lib/mysql/plugin" \
    --datadir="$FOLDER/data" --init-file="$FOLDER/init.sql" --port="$PORT" --bind-address=127.0.0.1 --skip-name-resolve \
    --socket="$FOLDER/socket" --pid-file="$FOLDER/pid" --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=0 \
    --general-log --general-log-file="$FOLDER/statements.log" \
    ${TLS_CERTIFICATE:+"--ssl-cert=$TLS_CERTIFICATE" "--ssl-key=$TLS_KEY"} "$@"
  await 30 listens "$PORT"
  serve
  ;;
esac
