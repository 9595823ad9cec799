// Requests at an even rate, each sent when it is due whatever became of those before, on the core the server does not use.
// node bench/paced.mjs URL RATE SECONDS TOKENS_FILE -> { ok, failed, p50, p99 } in milliseconds, from when it was due
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

const [url, rate, seconds, file] = process.argv.slice(2);
const tokens = readFileSync(file, 'utf8').trim().split('\n');
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
const body = JSON.stringify({ ttl: '5m', reason: 'bench' });
const everyMs = 1_000 / Number(rate);
const total = Number(rate) * Number(seconds);
const times = [];
let failed = 0;

function ask(token, due) {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  return new Promise((done) => {
    request(url, { method: 'POST', agent, headers }, (answer) => {
      if (answer.statusCode !== 200) failed++;
      answer.resume().once('end', () => {
        times.push(performance.now() - due);
        done();
      });
    })
      .once('error', () => {
        failed++;
        done();
      })
      .end(body);
  });
}

const asked = [];
const started = performance.now();
while (asked.length < total) {
  for (const until = performance.now(); asked.length < total; ) {
    const due = started + asked.length * everyMs;
    if (due > until) break;
    asked.push(ask(tokens[asked.length % tokens.length], due));
  }
  await new Promise((wake) => setImmediate(wake));
}
await Promise.all(asked);
agent.destroy();
times.sort((a, b) => a - b);
const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
console.log(JSON.stringify({ ok: total - failed, failed, p50: at(0.5), p99: at(0.99) }));
