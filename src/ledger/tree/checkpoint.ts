import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import { NoteError, type NoteSigner, type NoteVerifier } from './note.ts';

/** A tree head as its log signed it (C2SP tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export const signCheckpoint = (signer: NoteSigner, size: number, root: Uint8Array): string =>
  signer.sign(`${signer.name}\n${size}\n${toBase64(root)}\n`);

/** @throws NoteError unless the key signed it and its origin is the key's name */
export function openCheckpoint(verifier: NoteVerifier, note: string): Checkpoint {
  const [origin, size, root, ...rest] = verifier.open(note).split('\n');
  if (origin !== verifier.name) throw new NoteError('wrong_origin');
  const hash = fromBase64(root ?? '');
  // Extension lines cannot be audited; we write none and take none.
  if (rest.length !== 1 || hash?.length !== 32) throw new NoteError('not_a_checkpoint');
  return { origin, size: decimal(size ?? ''), root: hash };
}

function decimal(text: string): number {
  const value = Number(text);
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text) || !Number.isSafeInteger(value)) throw new NoteError('not_a_checkpoint');
  return value;
}
