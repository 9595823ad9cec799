#!/usr/bin/env bash
# OpenSSH's sshd of Debian; whoever starts it can log in. It believes the CAs in FOLDER/trusted_cas and takes the principals
# in FOLDER/principals/USER, both read anew for each login. FOLDER/sshd.log says who came, by which certificate.
. "$(dirname "$0")/lib.sh"
ROOT=$CACHE/root
export LD_LIBRARY_PATH=$(echo "$ROOT"/usr/lib/*-linux-gnu)

# Root's sshd gives up its rights to this user before anybody has logged in.
has_user() { [ "$(id -u)" != 0 ] || getent passwd sshd >/dev/null; }

case $MODE in
installed) [ -x "$ROOT/usr/sbin/sshd" ] && has_user && command -v ssh ssh-keygen >/dev/null ;;
install)
  (debian_install usr/sbin/sshd openssh-server libwrap0)
  has_user || useradd -r -M -d /run/sshd -s /usr/sbin/nologin sshd
  ;;
start)
  [ "$(id -u)" != 0 ] || mkdir -p /run/sshd
  mkdir principals
  touch trusted_cas
  ssh-keygen -q -t ed25519 -N '' -f host_key
  cat >sshd_config <<END
ListenAddress 127.0.0.1
HostKey $FOLDER/host_key
TrustedUserCAKeys $FOLDER/trusted_cas
AuthorizedPrincipalsFile $FOLDER/principals/%u
AuthorizedKeysFile none
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
END
  # Where it has them: its parts are not where they would be installed, and failed logins keep nobody out for a while.
  for option in "SshdSessionPath $ROOT/usr/lib/openssh/sshd-session" "SshdAuthPath $ROOT/usr/lib/openssh/sshd-auth" 'PerSourcePenalties no'; do
    { cat sshd_config && echo "$option"; } >tried
    ! "$ROOT/usr/sbin/sshd" -t -f tried 2>/dev/null || mv tried sshd_config
  done
  spawn sshd "$ROOT/usr/sbin/sshd" -D -e -f "$FOLDER/sshd_config" -p "$PORT" "$@"
  await 10 listens "$PORT"
  serve
  ;;
esac
