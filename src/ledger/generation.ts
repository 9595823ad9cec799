import type { Head } from './log-store.ts';
import { type NoteSigner, type NoteVerifier, noteVerifier } from './tree/note.ts';

/** The origin of a ledger's log of this generation: the ledger's own for the first. */
export const originOf = (origin: string, generation: number): string =>
  generation === 1 ? origin : `${origin}~${generation}`;

export interface Generations {
  of(generation: number): { readonly signer: NoteSigner; readonly verifier: NoteVerifier };
}

/** The signer of each log of a ledger: one key, one name for each generation. */
export function generations(first: NoteSigner): Generations {
  const known = new Map<number, ReturnType<Generations['of']>>();
  return {
    of(generation) {
      const there = known.get(generation);
      if (there !== undefined) return there;
      const signer = generation === 1 ? first : first.as(originOf(first.name, generation));
      const made = { signer, verifier: noteVerifier(signer.vkey) };
      known.set(generation, made);
      return made;
    },
  };
}

/** Where a position of the ledger lies: in which log, and at which index of it. */
export interface LeafAt {
  readonly generation: number;
  readonly base: number;
  readonly index: number;
}

export function leafAt(
  { generation, base, ended }: Pick<Head, 'generation' | 'base' | 'ended'>,
  position: number,
): LeafAt {
  if (position >= base) return { generation, base, index: position - base };
  const log = ended.findLast((one) => one.base <= position);
  if (log === undefined) throw new Error(`no log has position ${position}`);
  return { generation: log.generation, base: log.base, index: position - log.base };
}
