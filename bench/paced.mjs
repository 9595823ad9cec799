// Requests at an even rate, each sent when it is due whatever became of those before, on the core the server does not use.
// node bench/paced.mjs URL RATE SECONDS TOKENS_FILE -> { ok, failed, p50, p99 } in milliseconds, from when it was due
import { connection, quantile, requestsOf } from './client.mjs';

const [url, rate, seconds, file] = process.argv.slice(2);
const requests = requestsOf(url, file);
const everyMs = 1_000 / Number(rate);
const total = Number(rate) * Number(seconds);
const most = 256;
const free = await Promise.all(Array.from({ length: 16 }, () => connection(url)));
let open = free.length;
const times = [];
const waiting = [];
let failed = 0;

/** A connection that nobody uses; a new one while there are few; else the first that is given back. */
async function idle() {
  for (let one = free.pop(); one !== undefined; one = free.pop()) {
    if (!one.closed) return one;
    open--;
  }
  if (open === most) return new Promise((resolve) => waiting.push(resolve));
  open++;
  return connection(url);
}

/** What finds no connection waits for one; its time counts from when it was due all the same. */
async function ask(request, due) {
  const one = await idle();
  if ((await one.ask(request)) !== 200) failed++;
  times.push(performance.now() - due);
  const next = waiting.shift();
  if (next === undefined) free.push(one);
  else next(one);
}

const asked = [];
const started = performance.now();
while (asked.length < total) {
  for (let due = started; asked.length < total; ) {
    due = started + asked.length * everyMs;
    if (due > performance.now()) break;
    asked.push(ask(requests[asked.length % requests.length], due));
  }
  await new Promise((wake) => setTimeout(wake, 1));
}
await Promise.all(asked);
for (const { end } of free) end();
times.sort((a, b) => a - b);
console.log(
  JSON.stringify({
    ok: times.length - failed,
    failed,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  }),
);
