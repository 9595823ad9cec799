#!/usr/bin/env bash
# The real kube-apiserver over etcd, with the controllers that sign CSRs and know service accounts; no kubelet.
# PORT serves the API over TLS under FOLDER/ca.crt; PORT + 1 and + 2 are etcd's, + 3 the controllers'. Bearer "admin-token" may do everything.
. "$(dirname "$0")/lib.sh"
VERSION=1.36.3
ETCD=$(command -v etcd || echo "$CACHE/etcd/usr/bin/etcd")

built() { [ "$("$CACHE/bin/$1" --version 2>/dev/null)" = "Kubernetes v$VERSION" ]; }

# The module's own go.mod, with its staging folders replaced by the k8s.io/* modules published with the same version.
prepare() {
  command -v go >/dev/null || { say 'needs go'; exit 1; }
  mkdir -p "$CACHE/build" "$CACHE/bin"
  cd "$CACHE/build"
  local source
  source=$(cd "${TMPDIR:-/tmp}" && go mod download -json "k8s.io/kubernetes@v$VERSION" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
  sed -E "s#^module .*#module kubebuild#; s#(\S+) => \./staging/\S+#\1 => \1 v0.${VERSION#1.}#" "$source/go.mod" >go.mod
  printf '\nrequire k8s.io/kubernetes v%s\n' "$VERSION" >>go.mod
  cat "$source/go.sum" >go.sum
}

build() {
  local set=k8s.io/component-base/version
  CGO_ENABLED=0 GOFLAGS=-mod=mod go build -trimpath -o "$CACHE/bin/$1" \
    -ldflags "-s -w -X $set.gitVersion=v$VERSION -X $set.gitMajor=1 -X $set.gitMinor=36" "k8s.io/kubernetes/cmd/$1" >&2
}

# Debian's package would start it as a service of the machine: only its file is taken.
install_etcd() {
  [ -x "$ETCD" ] && return
  say "taking etcd from Debian's etcd-server into $CACHE"
  rm -rf "$CACHE/etcd"
  mkdir -p "$CACHE/etcd"
  cd "$CACHE/etcd"
  { apt-get download -q etcd-server || { apt-get update -q && apt-get download -q etcd-server; }; } >&2
  dpkg-deb -x etcd-server_*.deb .
}

certificates() {
  local ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
  openssl genrsa -out sa.key 2048
  openssl req -x509 $ec -keyout ca.key -out ca.crt -subj /CN=test-ca -days 2
  openssl req $ec -keyout tls.key -out tls.csr -subj /CN=kube-apiserver
  printf 'subjectAltName=IP:127.0.0.1,DNS:localhost' >san
  openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out tls.crt -days 2 -extfile san
}

case $MODE in
installed) [ -x "$ETCD" ] && built kube-apiserver && built kube-controller-manager ;;
install)
  install_etcd
  for program in kube-apiserver kube-controller-manager; do
    built $program && continue
    say "building $program $VERSION into $CACHE (the first time about 10 minutes)"
    prepare
    build $program
  done
  ;;
start)
  server=https://127.0.0.1:$PORT etcd=http://127.0.0.1:$((PORT + 1))
  certificates 2>/dev/null
  echo 'admin-token,admin,admin,system:masters' >tokens.csv
  cat >kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{ name: test, cluster: { server: "$server", certificate-authority: "$FOLDER/ca.crt" } }]
users: [{ name: test, user: { token: admin-token } }]
contexts: [{ name: test, context: { cluster: test, user: test } }]
current-context: test
END
  spawn etcd "$ETCD" --data-dir etcd --unsafe-no-fsync --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "http://127.0.0.1:$((PORT + 2))"
  await 20 answers "$etcd/health"
  spawn apiserver "$CACHE/bin/kube-apiserver" --etcd-servers="$etcd" --bind-address=127.0.0.1 --advertise-address=127.0.0.1 \
    --endpoint-reconciler-type=none --secure-port="$PORT" --tls-cert-file=tls.crt --tls-private-key-file=tls.key \
    --client-ca-file=ca.crt --token-auth-file=tokens.csv --authorization-mode=RBAC --service-account-issuer="$server" \
    --service-account-key-file=sa.key --service-account-signing-key-file=sa.key --service-cluster-ip-range=10.0.0.0/24 \
    --disable-admission-plugins=ServiceAccount "$@"
  await 60 curl -sf -m 2 --cacert ca.crt -H 'authorization: Bearer admin-token' "$server/readyz"
  spawn controllers "$CACHE/bin/kube-controller-manager" --kubeconfig=kubeconfig --controllers=csrsigning,csrapproving,serviceaccount \
    --cluster-signing-cert-file=ca.crt --cluster-signing-key-file=ca.key --bind-address=127.0.0.1 \
    --secure-port=$((PORT + 3)) --leader-elect=false
  await 20 curl -sk -m 2 -o /dev/null "https://127.0.0.1:$((PORT + 3))/healthz"
  serve
  ;;
esac
