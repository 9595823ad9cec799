// One burst of requests against one server; run as a process of its own, on the core the server does not use.
// node bench/load.mjs URL CONNECTIONS SECONDS TOKENS_FILE -> { rate, ok, failed, p50, p99 }
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';

const [url, connections, seconds, file] = process.argv.slice(2);
const tokens = readFileSync(file, 'utf8').trim().split('\n');
const body = JSON.stringify({ ttl: '5m', reason: 'bench' });
let next = 0;

const result = await autocannon({
  url,
  connections: Number(connections),
  duration: Number(seconds),
  method: 'POST',
  setupClient(client) {
    // Each connection has its own share of the tokens, so that a token is fresh each time while they last.
    const share = Math.max(1, Math.floor(tokens.length / Number(connections)));
    const mine = tokens.slice(next, next + share);
    next = (next + share) % tokens.length;
    client.setRequests(
      mine.map((token) => ({
        method: 'POST',
        body,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      })),
    );
  },
});
const rate = result.requests.total / result.duration;
console.log(
  JSON.stringify({
    rate,
    ok: result['2xx'],
    failed: result.non2xx + result.errors + result.timeouts,
    p50: result.latency.p50,
    p99: result.latency.p99,
  }),
);
