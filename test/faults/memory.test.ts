import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { prepareEmbedded } from '../support/config.ts';
import type { TestIssuer } from '../support/issuer.ts';
import { type RunningServer, repository, startServer, temporaryFolder } from '../support/server.ts';

// Memory of the server as it is built (its own thread's, not that of its commits), over many requests:
// `HALLPASS_TEST_REQUESTS=1000000` for as many. A hundred bytes that each leaves behind fail it.
const requests = Number(process.env.HALLPASS_TEST_REQUESTS || 5_000);
/** Of equal size; in the first the code is compiled and what is kept is filled. */
const parts = 5;
const atOnce = 32;
/** What all requests may leave behind together, bytes: compiling goes on for long, and leaves so much beside its code. */
const noise = 400_000 + requests;

let folder: string;
let remove: () => void;
let issuer: TestIssuer;
let server: RunningServer;
const sockets: Socket[] = [];

beforeEach(async () => {
  ({ folder, remove } = temporaryFolder());
  const prepared = prepareEmbedded(folder);
  issuer = prepared.issuer;
  const probe = join(repository, 'test/faults/heap-probe.mjs');
  server = await startServer(prepared.file, 0, [], { NODE_OPTIONS: `--import ${probe}` });
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.stop();
  remove();
});

/** One keep-alive connection that costs little: one request at a time, of whose answer the status alone is of interest. */
async function connection() {
  const { hostname, port, host } = new URL(server.url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, 'connect');
  sockets.push(socket);
  let told: ((status: number) => void) | undefined;
  let got = '';
  socket.on('data', (bytes) => {
    got += bytes.toString('latin1');
    const head = got.indexOf('\r\n\r\n') + 4;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(got.slice(0, head))?.[1];
    if (head < 4 || got.length < head + Number(length)) return;
    const status = Number(got.slice(9, 12));
    got = '';
    told?.(status);
  });
  return (path: string, token: string) =>
    new Promise<number>((resolve, reject) => {
      told = resolve;
      socket.once('close', reject);
      socket.write(
        `POST ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\ncontent-length: 0\r\n\r\n`,
      );
    }).finally(() => socket.removeAllListeners('close'));
}

/** Each its own token: mostly a stored secret; now and then a signed token, a denial, and a token that is none. */
function ask(post: Awaited<ReturnType<typeof connection>>, at: number): Promise<number> {
  const token = issuer.token({ sub: 'svc:checkout', jti: String(at) });
  if (at % 20 === 7) return post('/v1/credentials/partner', token);
  if (at % 20 === 13) return post('/v1/credentials/unknown', token);
  return post('/v1/credentials/stripe-key', at % 20 === 17 ? `${token}x` : token);
}

/** Bytes that are in use once all garbage was collected. */
async function heap(): Promise<number> {
  const said = server.log().length;
  server.child.kill('SIGUSR2');
  const line = () => /^\{"event":"heap".*\}$/m.exec(server.log().slice(said))?.[0];
  await expect.poll(line, { timeout: 30_000 }).toBeDefined();
  return JSON.parse(line() as string).bytes;
}

/** Of the line that lies nearest to all of them (least squares), for each step from one to the next. */
function slopeOf(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const [over, under] = values.reduce(
    ([sum, square], value, at) => [sum + (at - middle) * value, square + (at - middle) ** 2],
    [0, 0],
  );
  return over / under;
}

it(`the heap does not grow with the number of requests: ${requests}`, { timeout: 60_000 + requests * 10 }, async () => {
  const counts: Record<number, number> = {};
  const heaps: number[] = [];
  const connections = await Promise.all(Array.from({ length: atOnce }, connection));
  let next = 0;
  for (let part = 1; part <= parts; part++) {
    const end = Math.round((requests * part) / parts);
    await Promise.all(
      connections.map(async (post) => {
        while (next < end) {
          const status = await ask(post, next++);
          counts[status] = (counts[status] ?? 0) + 1;
        }
      }),
    );
    heaps.push(await heap());
  }
  expect(counts[200]).toBeGreaterThan(requests * 0.89);
  expect(Object.keys(counts)).toEqual(['200', '401', '403']);
  expect(slopeOf(heaps.slice(1)) * (parts - 1)).toBeLessThan(noise);
});
