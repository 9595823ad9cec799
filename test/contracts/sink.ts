import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { UpstreamError } from '../../src/lib/upstream.ts';
import type { SinkEntry } from '../../src/sinks/entry.ts';
import type { Sink, SinkCheckpoint } from '../../src/sinks/sink.ts';
import { entryOf, everyType } from '../sinks/entries.ts';
import { soon } from '../sinks/rig.ts';

export interface SinkUnderTest {
  readonly sink: Sink;
  /** The texts of all that arrived, oldest first: of entries one each, of checkpoints the notes. */
  arrived(): Promise<readonly string[]>;
  /** From now on the other side takes nothing; gives what puts it right again. */
  fail(): Promise<() => Promise<void>>;
  /** From now on it says nothing at all; absent where it cannot. */
  readonly hang?: () => void;
  end(): Promise<void>;
}

export interface SinkTraits {
  readonly takes: readonly ('records' | 'checkpoints')[];
  /** Why what arrives twice is there once; default: it is there twice. */
  readonly once?: string;
}

const types = ['issuance', 'denial', 'revocation', 'lockdown'] as const;
const logs = ['pass.example.com/ledger', 'pass.example.com/ledger~2'];

/** Entries of two logs, one behind the other, each with an id of its own. */
export const contractEntries: readonly SinkEntry[] = logs.flatMap((log, at) =>
  types.map((type, leaf) => {
    const index = at * types.length + leaf;
    const told = everyType[type];
    return {
      ...entryOf({ ...told, record: { ...told.record, id: `01jd9m0000000000000000010${index}` } }),
      log,
      leaf,
      index,
    };
  }),
);
const idOf = ({ record }: SinkEntry): string => (JSON.parse(record) as { id: string }).id;

export const contractCheckpoint: Omit<SinkCheckpoint, 'known' | 'prove'> = {
  log: 'pass.example.com/ledger',
  size: 4,
  note: 'pass.example.com/ledger\n4\nAAAA\n\n\u2014 pass.example.com/ledger BBBB\n',
};

/** What every sink keeps to. */
export function describeSink(
  name: string,
  make: (takes: 'records' | 'checkpoints') => Promise<SinkUnderTest>,
  traits: SinkTraits,
): void {
  for (const takes of traits.takes) {
    describe(`sink contract: ${name}, ${takes}`, () => {
      let under: SinkUnderTest;
      beforeEach(async () => {
        under = await make(takes);
      });
      afterEach(() => under.end());

      const send = (until = soon()): Promise<unknown> =>
        takes === 'records'
          ? (under.sink.deliver?.(contractEntries, until) ?? Promise.reject(new Error('takes no records')))
          : (under.sink.publish?.({ ...contractCheckpoint, known: 0, prove: async () => [] }, until) ??
            Promise.reject(new Error('takes no checkpoints')));
      const marks = takes === 'records' ? contractEntries.map(idOf) : [contractCheckpoint.note];

      it('brings all of it, in order', async () => {
        await send();
        const arrived = await under.arrived();
        expect(arrived).toHaveLength(marks.length);
        for (const [at, mark] of marks.entries()) expect(arrived[at]).toContain(mark);
      });

      it(`takes the same again${traits.once === undefined ? '' : `, and has it once: ${traits.once}`}`, async () => {
        await send();
        await send();
        expect(await under.arrived()).toHaveLength(marks.length * (traits.once === undefined ? 2 : 1));
      });

      it('rejects with an UpstreamError while it is not taken, and brings it afterwards', async () => {
        const mend = await under.fail();
        const error = await send().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toBeInstanceOf(UpstreamError);
        await mend();
        await send();
        expect((await under.arrived()).length).toBeGreaterThanOrEqual(marks.length);
      });

      it('ends by its deadline where nothing is said', async ({ skip }) => {
        skip(under.hang === undefined, 'nothing is waited for');
        under.hang?.();
        const began = performance.now();
        await expect(send(soon(200))).rejects.toBeInstanceOf(UpstreamError);
        expect(performance.now() - began).toBeLessThan(3_000);
      });

      it.runIf(takes === 'records')('tells nobody’s name that it was not given', async () => {
        await under.sink.deliver?.(
          contractEntries.map((entry) => ({ ...entry, disclosure: null })),
          soon(),
        );
        const text = (await under.arrived()).join('\n');
        for (const told of ['checkout/web', '203.0.113.9', 'serviceaccount', 'nightly'])
          expect(text).not.toContain(told);
      });
    });
  }
}
