import { createServer } from 'node:net';

// Below the range that outgoing connections take theirs from. Each worker has ports of its own: what is free for one
// would else be taken by another before the first one listens.
const FIRST = 20_000;
const EACH = 1_500;
const WORKERS = 8;
let asked = Math.floor(Math.random() * EACH);

/** The next port of this worker's own, taken or not; no port comes again before all of them did. */
export function nextPort(): number {
  const worker = Number(process.env.VITEST_POOL_ID ?? 0) % WORKERS;
  asked = (asked + 1) % EACH;
  return FIRST + worker * EACH + asked;
}

/** A port of loopback that was free a moment ago; the `span - 1` after it are free as well. */
export async function freePort(span = 1): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const wanted = Array.from({ length: span }, nextPort);
    const inARow = wanted.every((port, at) => port === (wanted[0] as number) + at);
    if (inARow && (await Promise.all(wanted.map(isFree))).every((free) => free)) return wanted[0] as number;
  }
  throw new Error('no free port');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
