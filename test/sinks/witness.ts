import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { openCheckpoint } from '../../src/ledger/tree/checkpoint.ts';
import { verifyConsistency } from '../../src/ledger/tree/merkle.ts';
import { noteVerifier } from '../../src/ledger/tree/note.ts';
import { fromBase64, sha256, toBase64, toHex, toUtf8 } from '../../src/lib/bytes.ts';
import { type FakeAnswer, type FakeCall, type FakeServer, startFake } from '../fakes/server.ts';

export interface TestWitness {
  readonly server: FakeServer;
  /** Verifier key of its cosignatures. */
  readonly vkey: string;
  /** Sizes that it cosigned, in order. */
  readonly cosigned: number[];
  /** What it believes of the log; may be spoiled. */
  state: { size: number; root: Uint8Array };
  /** Spoils what it signs. */
  forge: ((message: string) => string) | undefined;
}

/** A witness that verifies for real (C2SP tlog-witness), of one log whose key is this. */
export async function startWitness(
  logKey: string,
  now: () => number = Date.now,
  name = 'witness.example/w1',
): Promise<TestWitness> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  const key = Buffer.from(x as string, 'base64url');
  const material = Buffer.concat([Uint8Array.of(4), key]);
  const id = sha256(toUtf8(`${name}\n`), material).subarray(0, 4);
  const verifier = noteVerifier(logKey);

  function answer(call: FakeCall): FakeAnswer {
    if (call.method !== 'POST' || call.url.pathname !== '/add-checkpoint') return { status: 404 };
    const gap = call.body.indexOf('\n\n');
    const [first = '', ...rest] = call.body.slice(0, gap).split('\n');
    const old = Number(/^old (0|[1-9][0-9]*)$/.exec(first)?.[1]);
    const proof = rest.map((line) => fromBase64(line) as Uint8Array);
    const note = call.body.slice(gap + 2);
    let checkpoint: ReturnType<typeof openCheckpoint>;
    try {
      checkpoint = openCheckpoint(verifier, note);
    } catch {
      return { status: 403 };
    }
    const { size, root } = checkpoint;
    if (!Number.isSafeInteger(old) || old > size || proof.length > 63) return { status: 400 };
    const { state } = witness;
    if (old !== state.size)
      return { status: 409, headers: { 'content-type': 'text/x.tlog.size' }, body: `${state.size}\n` };
    const holds = old === 0 ? proof.length === 0 : verifyConsistency(old, size, proof, state.root, root);
    if (!holds) return { status: 422 };
    witness.state = { size, root };
    witness.cosigned.push(size);
    return { status: 200, body: cosign(note.slice(0, note.lastIndexOf('\n\n') + 1)) };
  }

  function cosign(text: string): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(Math.floor(now() / 1000)));
    const message = `cosignature/v1\ntime ${time.readBigUInt64BE()}\n${text}`;
    const signature = sign(null, toUtf8(witness.forge?.(message) ?? message), privateKey);
    const other = `\u2014 someone.example AAAAAAAA\n`;
    return `${other}\u2014 ${name} ${toBase64(Buffer.concat([id, time, signature]))}\n`;
  }

  const witness: TestWitness = {
    server: await startFake(answer),
    vkey: `${name}+${toHex(id)}+${toBase64(material)}`,
    cosigned: [],
    state: { size: 0, root: sha256() },
    forge: undefined,
  };
  return witness;
}
