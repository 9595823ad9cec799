import { createHash } from 'node:crypto';
import { on } from 'node:events';
import { connect } from 'node:net';

interface Login {
  readonly username: string;
  readonly password: string;
}

/** A client that has said who it is, and says its password only when it is told to: the server has looked the user up by then. */
export async function loginInTwoSteps(port: number, { username, password: secret }: Login) {
  const socket = connect(port, '127.0.0.1');
  const packets = on(socket, 'data');
  const closed = new Promise<'closed'>((resolve) => socket.on('close', () => resolve('closed')));
  socket.on('error', () => {});
  const next = async (): Promise<Buffer> => (await packets.next()).value[0].subarray(4);
  const say = (sequence: number, ...parts: (Buffer | string)[]) => {
    const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
    socket.write(Buffer.concat([Buffer.from([body.length, 0, 0, sequence]), body]));
  };
  await next();
  // PROTOCOL_41, SECURE_CONNECTION and PLUGIN_AUTH; an unknown way to prove itself, so that the server names another.
  const head = Buffer.alloc(32);
  head.writeUInt32LE(0x00088201, 0);
  head.writeUInt32LE(1 << 24, 4);
  say(1, head, `${username}\0`, Buffer.from([0]), 'none\0');
  const request = await next();
  const salt = request.subarray(request.indexOf(0) + 1, request.indexOf(0) + 21);
  const sha1 = (bytes: Buffer | string) => createHash('sha1').update(bytes).digest();
  const pad = sha1(Buffer.concat([salt, sha1(sha1(secret))]));
  const proof = Buffer.from(sha1(secret).map((byte, at) => byte ^ (pad[at] as number)));
  const finish = () => {
    if (!socket.destroyed) say(3, proof);
    return Promise.race([closed, next().then((answer) => (answer[0] === 0 ? ('in' as const) : ('out' as const)))]);
  };
  return { finish };
}
