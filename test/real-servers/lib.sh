# Sourced by the scripts beside it. Each is called as
#   NAME.sh installed                      exit 0 when the pinned version is in the cache
#   NAME.sh install                        puts it there
#   NAME.sh start PORT FOLDER [FLAG...]    serves on 127.0.0.1:PORT, keeps what it writes in FOLDER, says `ready`
# A started server ends when its standard input does, and so also when whoever started it is killed.
set -euo pipefail
MODE=${1:?usage: installed | install | start PORT FOLDER [FLAG...]}
CACHE=${HALLPASS_REAL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/hallpass-real}/$(basename "$0" .sh)
PIDS=

if [ "$MODE" = start ]; then
  PORT=${2:?port} FOLDER=${3:?folder}
  shift 3
  cd "$FOLDER"
  # Nothing here is worth keeping: what was started is killed, the last one first.
  trap '[ -z "$PIDS" ] || { kill -KILL $PIDS; wait $PIDS; } 2>/dev/null || true' EXIT
  trap 'exit 0' TERM INT
fi

say() { echo "$(basename "$0" .sh): $*" >&2; }

# python_installed PACKAGE==VERSION...: whether the cache holds exactly these
python_installed() { [ -x "$CACHE/venv/bin/python" ] && [ "$(cat "$CACHE/pins" 2>/dev/null)" = "$*" ]; }

python_install() {
  python_installed "$@" && return
  say "installing $* from PyPI into $CACHE"
  mkdir -p "$CACHE"
  python3 -m venv --clear "$CACHE/venv"
  "$CACHE/venv/bin/pip" install -q --disable-pip-version-check "$@" >&2
  echo "$*" >"$CACHE/pins"
}

# debian_install FILE PACKAGE...: unpacks packages of Debian's into CACHE/root, unless FILE is there. Installed as packages,
# they would start services of the machine.
debian_install() {
  local file=$1
  shift
  [ -x "$CACHE/root/$file" ] && return
  command -v apt-get >/dev/null || { say 'needs apt-get'; exit 1; }
  say "taking $* from Debian into $CACHE"
  rm -rf "$CACHE/debs" "$CACHE/root"
  mkdir -p "$CACHE/debs" "$CACHE/root"
  cd "$CACHE/debs"
  { apt-get download -q "$@" || { apt-get update -q && apt-get download -q "$@"; }; } >&2
  for package in *.deb; do dpkg-deb -x "$package" "$CACHE/root"; done
}

# spawn NAME COMMAND...: in the background, what it says into NAME.log
spawn() {
  local name=$1
  shift
  "$@" >"$FOLDER/$name.log" 2>&1 </dev/null &
  PIDS="$! $PIDS"
}

# await SECONDS COMMAND...: until it succeeds; else, or when what was spawned last has ended, the ends of the logs and exit 1
await() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -le 0 ] || ! kill -0 "${PIDS%% *}" 2>/dev/null; then
      tail -n 5 "$FOLDER"/*.log >&2
      exit 1
    fi
    sleep 0.1
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

answers() { curl -s -m 2 -o /dev/null "$1"; }

serve() {
  echo ready
  while read -r _; do :; done
}
