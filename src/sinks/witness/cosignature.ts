import { createPublicKey, verify } from 'node:crypto';
import { equalBytes, fromBase64, sha256, toBase64Url, toHex, toUtf8 } from '../../lib/bytes.ts';

// C2SP tlog-cosignature, its Ed25519 form: type 4, a signature behind eight bytes of time.

const cosignatureType = 4;

/** Who cosigns. */
export interface Cosigner {
  readonly name: string;
  readonly id: Uint8Array;
  readonly key: Uint8Array;
}

/** From `name+hash+base64`; undefined for anything else. */
export function cosignerOf(vkey: string): Cosigner | undefined {
  const [, name, hash, encoded] = /^([^+\s]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,64})$/.exec(vkey) ?? [];
  const material = fromBase64(encoded ?? '');
  if (name === undefined || material?.length !== 33 || material[0] !== cosignatureType) return undefined;
  const id = sha256(toUtf8(`${name}\n`), material).subarray(0, 4);
  return toHex(id) === hash ? { name, id, key: material.subarray(1) } : undefined;
}

/** The cosigner's line among those a witness answered, if its signature of this note's text is good; `now` in milliseconds. */
export function cosignatureIn(answer: string, text: string, cosigner: Cosigner, now: number): string | undefined {
  const lines = answer.endsWith('\n') ? answer.slice(0, -1).split('\n') : [];
  return lines.slice(0, 16).find((line) => isCosignature(line, text, cosigner, now));
}

/** How far ahead of ours its clock may be, seconds. */
const skew = 300n;

function isCosignature(line: string, text: string, { name, id, key }: Cosigner, now: number): boolean {
  const [dash, by, encoded = '', ...rest] = line.split(' ');
  const bytes = fromBase64(encoded);
  if (dash !== '\u2014' || by !== name || rest.length > 0 || bytes?.length !== 76) return false;
  if (!equalBytes(bytes.subarray(0, 4), id)) return false;
  const time = Buffer.from(bytes).readBigUInt64BE(4);
  if (time === 0n || time > BigInt(Math.floor(now / 1000)) + skew) return false;
  const message = toUtf8(`cosignature/v1\ntime ${time}\n${text}`);
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: toBase64Url(key) };
  return verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), bytes.subarray(12));
}
