import { afterAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../src/lib/platform.ts';
import { type Address, type OpenShelf, problemsOn, showCell } from './store-cell.ts';

const runtimes: readonly Runtime[] = ['node', 'workerd', 'lambda'];

interface Impossible {
  readonly entry: Readonly<Record<string, unknown>>;
  readonly problem: string;
  readonly fact: string;
}

/** How one kind of store is shown on each runtime. */
export interface StoreRow {
  readonly kind: string;
  readonly open: OpenShelf;
  /** Where Hallpass has to be known for it; default http on a free port of loopback. */
  readonly address?: () => Address;
  /** Where the platform makes it impossible: the fact, and the config error with which this entry is refused there. */
  readonly impossible?: Partial<Record<Runtime, Impossible>>;
  /** Why this machine cannot show it. */
  readonly lacking?: string | undefined;
}

/** Every store of these rows on every runtime; the table of what was shown is the last line of the output. */
export function describeStoreTable(rows: readonly StoreRow[]): void {
  const table = new Map(rows.map(({ kind }) => [kind, {} as Partial<Record<Runtime, string>>]));

  describe.for(rows)('the store $kind', ({ kind, open, address, impossible, lacking }) => {
    it.skipIf(lacking !== undefined).for(runtimes)(
      'gives its secret with a receipt on %s, or the config says why it cannot',
      async (runtime) => {
        const not = impossible?.[runtime];
        const cell = table.get(kind) as Partial<Record<Runtime, string>>;
        if (not === undefined) cell[runtime] = (await showCell(runtime, open, address?.())).outcome;
        else {
          expect(await problemsOn(runtime, not.entry)).toContain(not.problem);
          cell[runtime] = `${not.problem}: ${not.fact}`;
        }
      },
    );
  });

  afterAll(() => {
    const lines = rows.map(({ kind, lacking }) => [
      kind,
      ...runtimes.map((at) => table.get(kind)?.[at] ?? lacking ?? 'NOT SHOWN'),
    ]);
    const all = [['store', ...runtimes], ...lines];
    const widths = all[0]?.map((_, at) => Math.max(...all.map((line) => (line[at] as string).length))) ?? [];
    const text = all.map((line) =>
      line
        .map((word, at) => word.padEnd(widths[at] as number))
        .join(' | ')
        .trimEnd(),
    );
    process.stdout.write(`\nStores on runtimes\n${text.join('\n')}\n`);
  });
}
