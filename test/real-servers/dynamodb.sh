#!/usr/bin/env bash
# Amazon's own DynamoDB Local from Maven Central; needs java 17 and maven. The reference for transactions and their limits,
# but it knows no capacity and no TransactionConflict.
. "$(dirname "$0")/lib.sh"
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PIN=com.amazonaws:DynamoDBLocal:2.6.1

case $MODE in
installed) [ "$(cat "$CACHE/pin" 2>/dev/null)" = "$PIN" ] && command -v java >/dev/null ;;
install)
  [ "$(cat "$CACHE/pin" 2>/dev/null)" = "$PIN" ] && exit 0
  command -v java >/dev/null && command -v mvn >/dev/null || { say 'needs java and maven'; exit 1; }
  say "taking $PIN from Maven Central into $CACHE"
  rm -rf "$CACHE" && mkdir -p "$CACHE"
  cat >"$CACHE/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>dynamodb</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>com.amazonaws</groupId><artifactId>DynamoDBLocal</artifactId><version>${PIN##*:}</version>
  </dependency></dependencies>
</project>
XML
  mvn -q -B -f "$CACHE/pom.xml" dependency:copy-dependencies -DoutputDirectory="$CACHE/lib" >&2
  echo "$PIN" >"$CACHE/pin"
  ;;
start)
  spawn dynamodb java -Xmx512m -Djava.library.path="$CACHE/lib" -cp "$CACHE/lib/*" \
    "$HERE/DynamoDbOnLoopback.java" -inMemory -sharedDb -disableTelemetry -port "$PORT" "$@"
  await 60 answers "http://127.0.0.1:$PORT/"
  serve
  ;;
esac
