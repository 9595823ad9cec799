// A steady stream of requests, each with a token of its own; a process of its own beside what is measured.
// node bench/flood.mjs URL RATE TOKENS_FILE FROM COUNT [METHOD] -> { "401": n, ... }
import { readFileSync } from 'node:fs';
import autocannon from 'autocannon';

const [url, rate, file, from, count, method = 'POST'] = process.argv.slice(2);
const tokens = readFileSync(file, 'utf8')
  .trim()
  .split('\n')
  .slice(Number(from), Number(from) + Number(count));
const connections = 4;
let next = 0;
const { statusCodeStats } = await autocannon({
  url,
  connections,
  overallRate: Number(rate),
  amount: tokens.length,
  method,
  setupClient(client) {
    const share = Math.ceil(tokens.length / connections);
    const mine = tokens.slice(next, next + share);
    next += share;
    client.setRequests(mine.map((token) => ({ method, headers: { authorization: `Bearer ${token}` } })));
  },
});
console.log(
  JSON.stringify(Object.fromEntries(Object.entries(statusCodeStats).map(([code, { count }]) => [code, count]))),
);
