// One burst of requests against one server; run as a process of its own, on the core the server does not use.
// node bench/load.mjs URL CONNECTIONS SECONDS TOKENS_FILE -> { rate, ok, failed, p50, p99 }
import { connection, quantile, requestsOf } from './client.mjs';

const [url, connections, seconds, file] = process.argv.slice(2);
const requests = requestsOf(url, file);
const times = [];
let next = 0;
let failed = 0;

const open = await Promise.all(Array.from({ length: Number(connections) }, () => connection(url)));
const started = performance.now();
const until = started + Number(seconds) * 1_000;

async function caller({ ask, end }) {
  for (let sent = performance.now(); sent < until; sent = performance.now()) {
    // Each token is fresh while they last.
    if ((await ask(requests[next++ % requests.length])) !== 200) failed++;
    times.push(performance.now() - sent);
  }
  end();
}

await Promise.all(open.map(caller));
const rate = times.length / ((performance.now() - started) / 1_000);
times.sort((a, b) => a - b);
const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)];
console.log(JSON.stringify({ rate, ok: times.length - failed, failed, p50, p99 }));
