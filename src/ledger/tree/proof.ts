import { fromBase64, toBase64 } from '../../lib/bytes.ts';
import { type Grown, inclusionProofs } from './merkle.ts';

/** A C2SP tlog-proof, taken apart; the checkpoint is not verified by that. */
export interface Proof {
  readonly index: number;
  /** Leaf's sibling first. */
  readonly path: readonly Uint8Array[];
  readonly checkpoint: string;
}

const firstLine = 'c2sp.org/tlog-proof@v1';
/** A path longer than this would need 2^63 entries. */
const maxPath = 63;

export const formatProof = ({ index, path, checkpoint }: Proof): string =>
  textOf(index, path.map(lineOf).join(''), checkpoint);

const lineOf = (hash: Uint8Array): string => `${toBase64(hash)}\n`;

const textOf = (index: number, lines: string, checkpoint: string): string =>
  `${firstLine}\nindex ${index}\n${lines}\n${checkpoint}`;

/** Proofs against one checkpoint over this tree: of what several have in common each step is hashed and written once. */
export function proofsIn({ size, node }: Pick<Grown, 'size' | 'node'>, checkpoint: string): (index: number) => string {
  const pathOf = inclusionProofs(size, node);
  const written = new Map<Uint8Array, string>();
  return (index) => {
    let lines = '';
    for (const hash of pathOf(index)) {
      let line = written.get(hash);
      if (line === undefined) {
        line = lineOf(hash);
        written.set(hash, line);
      }
      lines += line;
    }
    return textOf(index, lines, checkpoint);
  };
}

/** undefined for text that is no proof. */
export function parseProof(text: string): Proof | undefined {
  const gap = text.indexOf('\n\n');
  if (gap < 0) return undefined;
  const lines = text.slice(0, gap).split('\n');
  if (lines.shift() !== firstLine) return undefined;
  if (lines[0]?.startsWith('extra ') && fromBase64(lines.shift()?.slice(6) ?? '!') === undefined) return undefined;
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1];
  const path = lines.map(fromBase64);
  if (index === undefined || !Number.isSafeInteger(Number(index)) || path.length > maxPath) return undefined;
  if (!path.every((hash) => hash?.length === 32)) return undefined;
  return { index: Number(index), path: path as Uint8Array[], checkpoint: text.slice(gap + 2) };
}
