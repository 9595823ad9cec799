import { createServer } from 'node:net';

/** A port of loopback that was free a moment ago, below the range that outgoing connections take theirs from; the `span - 1` after it are free as well. */
export async function freePort(span = 1): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const wanted = Array.from({ length: span }, (_, at) => port + at);
    if ((await Promise.all(wanted.map(isFree))).every((free) => free)) return port;
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
