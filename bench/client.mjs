// Keep-alive connections that cost their core little, as the server's commits run on it too: requests are written as they
// were put together beforehand, and of an answer only its status and its length are read.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const body = JSON.stringify({ ttl: '5m', reason: 'bench' });

/** The bytes of one request for each token. */
export function requestsOf(url, file) {
  const { host, pathname } = new URL(url);
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((token) =>
      Buffer.from(
        `POST ${pathname} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${token}\r\n` +
          `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      ),
    );
}

/** One connection: `ask(request)` resolves to the status; one request at a time; `closed` once it cannot be asked any more. Rejects when the connection ends or a header says no length. */
export async function connection(url) {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  let asked;
  let missing = 0;
  let status = 0;
  let head = '';
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  let closed = false;
  const fail = (error) => {
    closed = true;
    asked?.reject(error ?? new Error('the server closed the connection'));
  };
  socket.on('error', fail).on('close', () => fail());
  socket.on('data', (bytes) => {
    // A server ends a connection that nobody uses, some with an answer that nobody asked for.
    if (asked === undefined) return socket.destroy();
    let rest = bytes.length;
    if (missing === 0) {
      head += bytes.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1) return;
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head.slice(0, end + 2));
      if (length === null) return fail(new Error(`no length: ${head.slice(0, end)}`));
      status = Number(head.slice(9, 12));
      rest = head.length - end - 4;
      missing = Number(length[1]);
      head = '';
    }
    missing -= rest;
    if (missing > 0) return;
    const { resolve } = asked;
    asked = undefined;
    resolve(status);
  });
  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        asked = { resolve, reject };
        socket.write(request);
      }),
    end: () => socket.destroy(),
    get closed() {
      return closed || socket.destroyed;
    },
  };
}

export const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
