// A steady stream of requests, each with a token of its own and sent when it is due; a process of its own beside what is measured.
// node bench/flood.mjs URL RATE TOKENS_FILE FROM COUNT [METHOD] -> { "perSecond": n, "statuses": { "401": n, ... } }
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';

const [url, rate, file, from, count, method = 'POST'] = process.argv.slice(2);
const tokens = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .slice(Number(from), Number(from) + Number(count));
// The bound of what is in flight; what is due beyond it waits its turn.
const agent = new Agent({ keepAlive: true, maxSockets: 32 });
const everyMs = 1_000 / Number(rate);
const statuses = {};

function ask(token) {
  return new Promise((done, fail) => {
    request(url, { method, agent, headers: { authorization: `Bearer ${token}` } }, (answer) => {
      statuses[answer.statusCode] = (statuses[answer.statusCode] ?? 0) + 1;
      answer.resume().once('end', done);
    })
      .once('error', fail)
      .end();
  });
}

const asked = [];
const started = performance.now();
while (asked.length < tokens.length) {
  for (const due = (performance.now() - started) / everyMs; asked.length < Math.min(due, tokens.length); )
    asked.push(ask(tokens[asked.length]));
  await new Promise((wake) => setTimeout(wake, 1));
}
await Promise.all(asked);
const seconds = (performance.now() - started) / 1_000;
agent.destroy();
console.log(JSON.stringify({ perSecond: tokens.length / seconds, statuses }));
