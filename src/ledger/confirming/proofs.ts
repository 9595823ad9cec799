import type { Deadline } from '../../lib/deadline.ts';
import { originOf } from '../generation.ts';
import type { BareLog } from './contract.ts';
import type { Proof } from './kept-confirmation.ts';

/** That a log has a tree, as far as it has not been doubted since. */
export type Proved = Proof & { readonly doubts: number };

/** What is known of the trees of a log, which may be another from some position on: its database went back. */
export interface Proofs {
  /** Undefined: it has not that very tree. Another history of as many entries confirms nothing. */
  of(tree: Partial<Proof>, deadline: Deadline): Promise<Proved | undefined>;
  /** Whether it stands: nothing was doubted since. */
  stands(proof: Proved | undefined): proof is Proved;
  /** The furthest that was confirmed. */
  mark(proof: Proved): void;
  /** Doubts where the furthest that was confirmed is not there any more. */
  check(deadline: Deadline): Promise<void>;
  /** Forgets all, and asks again of what was marked: mostly the log had not gone back. */
  doubt(): void;
}

export interface ProofsDeps {
  readonly bound: () => BareLog;
  readonly soon: () => Deadline;
  /** Told first when all is in doubt. */
  readonly forgotten: () => void;
  /** Told when what was marked is proved once more. */
  readonly again: (proof: Proved) => void;
}

export function openProofs({ bound, soon, forgotten, again }: ProofsDeps): Proofs {
  let marked: Proof | undefined;
  let doubts = 0;

  async function of({ end, generation, root }: Partial<Proof>, deadline: Deadline): Promise<Proved | undefined> {
    if (end === undefined || generation === undefined || root === undefined) return undefined;
    const by = doubts;
    const [name, , hash] = ((await bound().treeAt(end, deadline)) ?? '').split('\n', 3);
    if (name !== originOf(bound().origin, generation) || hash !== root) return undefined;
    return { end, generation, root, doubts: by };
  }

  function doubt(): void {
    const was = marked;
    doubts++;
    marked = undefined;
    forgotten();
    if (was === undefined) return;
    of(was, soon())
      .then((proof) => proof && again(proof))
      .catch(() => {});
  }

  return {
    of,
    stands: (proof): proof is Proved => proof?.doubts === doubts,
    mark(proof) {
      marked = proof;
    },
    async check(deadline) {
      const was = marked;
      if (was !== undefined && (await of(was, deadline)) === undefined && marked === was) doubt();
    },
    doubt,
  };
}
