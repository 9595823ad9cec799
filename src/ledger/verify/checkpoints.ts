import { equalBytes } from '../../lib/bytes.ts';
import type { Checkpoint } from '../tree/checkpoint.ts';
import type { Finding } from './derive.ts';
import type { PassedLog } from './rolls.ts';
import type { GrowingTree } from './tree.ts';

/** The checkpoints of one log, in order, against the tree as it grows. */
export interface CheckpointsOfLog {
  /** One that covers the tree as it stands; a text says why it does not verify. */
  take(opened: Checkpoint | string, tree: GrowingTree): void;
  /** There are no more. */
  end(): void;
}

/** What is wrong with one, if anything. */
export function checkpointFinding(
  opened: Checkpoint | string,
  { base, origin }: PassedLog,
  tree: GrowingTree,
): Finding | undefined {
  const index = base + tree.size - 1;
  // Positions are counted through all logs, sizes are a log's own.
  const of = base === 0 ? '' : ` of ${origin}`;
  if (typeof opened === 'string')
    return { index, code: 'signature', message: `the checkpoint of size ${tree.size}${of}: ${opened}` };
  if (opened.size === tree.size && equalBytes(opened.root, tree.root())) return undefined;
  return { index, code: 'root_differs', message: `the entries are not those signed at size ${opened.size}${of}` };
}

/**
 * One wrong entry makes every checkpoint after it differ, and another key all of them: of such a run the first is told, and
 * once how many more it is, so that the report has room for what else is wrong.
 */
export function followCheckpoints(log: PassedLog, report: (finding: Finding) => void): CheckpointsOfLog {
  let run: { readonly like: string; last: Finding; more: number } | undefined;

  function end(): void {
    if (run !== undefined && run.more > 0) {
      const { index = 0, code } = run.last;
      const more = run.more === 1 ? '1 more checkpoint' : `${run.more} more checkpoints`;
      report({ index, code, message: `and so it is with ${more}, the last of size ${index - log.base + 1}` });
    }
    run = undefined;
  }

  return {
    take(opened, tree) {
      const finding = checkpointFinding(opened, log, tree);
      if (finding === undefined) return end();
      const like = `${finding.code} ${typeof opened === 'string' ? opened : ''}`;
      if (run !== undefined && run.like === like) {
        run = { like, last: finding, more: run.more + 1 };
        return;
      }
      end();
      report(finding);
      run = { like, last: finding, more: 0 };
    },
    end,
  };
}
