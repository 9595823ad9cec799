import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectSqliteLedger } from '../../src/ledger/drivers/sqlite/inspect.ts';
import type { LedgerRecord } from '../../src/ledger/records/record.ts';
import { parseRecord, recordText } from '../../src/ledger/records/record.ts';
import { verifyLog } from '../../src/ledger/verify/verify.ts';
import { newFolder, openIn, removeFolder } from '../ledger/drivers/sqlite-fixture.ts';
import { asking, clockAt, digest, policyHash, scribe, soon } from '../ledger/fixtures.ts';
import { type Forged, forgeLog } from './forged-log.ts';

const seed = new Uint8Array(32).fill(7);
const origin = 'pass.example.com/ledger';
const clock = clockAt(Date.now());
const write = scribe(clock);
/** As it was appended: what an adversary starts from, in batches. */
let honest: Forged[][];
/** The checkpoints that somebody kept, by the size of their tree. */
let kept: Map<number, string>;
const folders: string[] = [];

const verifyIn = async (folder: string, since?: string) => {
  const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
  const report = await verifyLog(source, { needIntent: new Set(['postgres']), ...(since !== undefined && { since }) });
  await close();
  return report;
};
const codes = ({ findings }: { findings: readonly { code: string }[] }) => [
  ...new Set(findings.map(({ code }) => code)),
];

beforeAll(async () => {
  const folder = newFolder();
  folders.push(folder);
  const ledger = await openIn(folder, { checkpointKey: seed, origin, now: () => clock.at });
  kept = new Map();
  const append = async (epoch: number, ...entries: Parameters<typeof asking>) => {
    const once = entries.map(({ record }) => parseRecord(record).once).find((key) => key !== undefined);
    await ledger.append({ ...asking(...entries), epoch, ...(once !== undefined && { once }) }, soon());
    const note = (await ledger.reader.checkpoint(soon())) as string;
    kept.set(Number(note.split('\n')[1]), note);
  };
  const [one, two, three] = [write.id(), write.id(), write.id()];
  await append(0, write.intent(one, { once: digest('a') }));
  await append(0, write.issuance(one, { once: digest('a') }));
  await append(0, write.intent(two), write.intent(three));
  await append(0, write.issuance(two), write.failure(three));
  await append(0, write.revocation(two));
  const lockdown = write.lockdown('add', 'grant', 1, { grant: 'checkout' });
  await append(0, lockdown);
  await append(1, write.denial({ epoch: 1, reason: 'lockdown' }));
  await append(1, write.lockdown('lift', parseRecord(lockdown.record).id, 2));
  for (let more = 0; more < 8; more++) await append(2, write.denial({ epoch: 2 }), write.denial({ epoch: 2 }));
  await ledger.close();
  const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
  const batches = new Map<number, Forged[]>();
  for (const { tree, record, disclosure } of await source.entries(0, 1_000))
    batches.set(tree, [...(batches.get(tree) ?? []), { record, disclosure }]);
  honest = [...batches.values()];
  await close();
}, 60_000);
afterAll(() => folders.forEach(removeFolder));

async function forged(change: (batches: Forged[][]) => Forged[][]): Promise<string> {
  const folder = newFolder();
  folders.push(folder);
  await forgeLog(folder, seed, origin, change(structuredClone(honest)));
  return folder;
}

/** Each record through `change`, canonical again. */
const eachRecord = (change: (record: LedgerRecord) => LedgerRecord | undefined) => (batches: Forged[][]) =>
  batches
    .map((batch) =>
      batch.flatMap(({ record, disclosure }) => {
        const changed = change(parseRecord(record));
        return changed === undefined ? [] : [{ record: recordText(changed), disclosure }];
      }),
    )
    .filter((batch) => batch.length > 0);

const only = (find: (record: LedgerRecord) => boolean, change: (record: LedgerRecord) => LedgerRecord | undefined) => {
  let done = false;
  return eachRecord((record) => {
    if (done || !find(record)) return record;
    done = true;
    return change(record);
  });
};
const denial = () => write.denial({ epoch: 2 });

describe('a log that was written anew and signed with the ledger’s own key', () => {
  it('is the old one when nothing was changed, under every checkpoint kept elsewhere', async () => {
    const folder = await forged((batches) => batches);
    expect((await verifyIn(folder)).findings).toEqual([]);
    for (const note of kept.values()) expect((await verifyIn(folder, note)).findings).toEqual([]);
  });

  const rewrites: [string, (batches: Forged[][]) => Forged[][]][] = [
    [
      'another credential in one record',
      only(
        ({ type }) => type === 'denial',
        (record) => ({ ...record, reason: 'other' }),
      ),
    ],
    [
      'another reason to revoke',
      only(
        ({ type }) => type === 'revocation',
        (record) => ({ ...record, reason: 'ordered' }),
      ),
    ],
    [
      'another person in a disclosure, and the record made to fit',
      (batches) => {
        const stand = write.denial();
        const { identity } = parseRecord(stand.record);
        return only(
          ({ type }) => type === 'denial',
          (record) => ({ ...record, identity }),
        )(batches).map((batch) =>
          batch.map((entry) =>
            parseRecord(entry.record).identity?.who === identity?.who
              ? { ...entry, disclosure: stand.disclosure }
              : entry,
          ),
        );
      },
    ],
    [
      'an entry taken out',
      only(
        ({ type }) => type === 'denial',
        () => undefined,
      ),
    ],
    ['a denial put in', (batches) => [...batches.slice(0, 5), [{ ...write.denial() }], ...batches.slice(5)]],
    ['two entries swapped', (batches) => batches.map((batch, at) => (at === 9 ? [...batch].reverse() : batch))],
    [
      'a lockdown that never was: its records gone and every epoch after it lowered',
      eachRecord((record) =>
        record.type === 'lockdown' ? undefined : { ...record, ...(record.epoch !== undefined && { epoch: 0 }) },
      ),
    ],
    ['a replay key that was never spent', eachRecord(({ once: _, ...record }) => record)],
    ['another replay key', eachRecord((record) => ({ ...record, ...(record.once && { once: digest('b') }) }))],
  ];
  it.each(rewrites)(
    'is found with %s by every checkpoint kept elsewhere that covers it',
    async (_, change) => {
      const folder = await forged(change);
      // Nothing that it holds itself gives it away.
      expect((await verifyIn(folder)).findings).toEqual([]);
      const sizes = [...kept.keys()].sort((a, b) => a - b);
      const found = await Promise.all(sizes.map(async (size) => codes(await verifyIn(folder, kept.get(size)))));
      const first = found.findIndex((one) => one.length > 0);
      expect(first).toBeGreaterThanOrEqual(0);
      for (const one of found.slice(first)) expect(['rewritten', 'cut']).toEqual(expect.arrayContaining(one));
      expect(found.slice(first).every((one) => one.length > 0)).toBe(true);
      expect(found.slice(0, first).every((one) => one.length === 0)).toBe(true);
    },
    30_000,
  );

  it('is found without its tail by every checkpoint of what was there', async () => {
    const folder = await forged((batches) => batches.slice(0, 10));
    const { size, findings } = await verifyIn(folder);
    expect(findings).toEqual([]);
    for (const [covered, note] of kept)
      expect(codes(await verifyIn(folder, note))).toEqual(covered > size ? ['cut'] : []);
  }, 30_000);

  const request = '01jd9m0000000000000000000r';
  it.each<[string, string, (batches: Forged[][]) => Forged[][]]>([
    [
      'a replay key spent twice',
      'replayed',
      (batches) => [...batches, [write.intent(write.id(), { epoch: 2, once: digest('a') })]],
    ],
    [
      'a replay key spent twice in the name of another request',
      'replayed',
      (batches) => [
        ...batches,
        [write.issuance(write.id(), { epoch: 2, kind: 'secret', once: digest('c'), request })],
        [write.issuance(write.id(), { epoch: 2, kind: 'secret', once: digest('c') })],
      ],
    ],
    [
      'a second outcome',
      'second_outcome',
      (batches) => {
        const done = batches
          .flat()
          .map(({ record }) => parseRecord(record))
          .find(({ type }) => type === 'issuance');
        return [...batches, [write.failure(done?.id ?? '', { epoch: 2 })]];
      },
    ],
    [
      'an outcome without intent',
      'outcome_without_intent',
      (batches) => [...batches, [write.issuance(write.id(), { epoch: 2 })]],
    ],
    ['an end of nothing', 'unknown_issuance', (batches) => [...batches, [write.revocation(write.id(), { epoch: 2 })]]],
    [
      'an issuance under a lockdown’s older epoch',
      'epoch_wrong',
      (batches) => [...batches, [write.issuance(write.id(), { epoch: 1, kind: 'secret' })]],
    ],
    ['a lockdown out of turn', 'epoch_wrong', (batches) => [...batches, [write.lockdown('add', 'all', 9)]]],
    ['a lift of nothing', 'lockdown_unknown', (batches) => [...batches, [write.lockdown('lift', write.id(), 3)]]],
    [
      'a policy that nobody recorded',
      'policy_unknown',
      eachRecord((record) => (record.type === 'policy' && record.hash === policyHash ? undefined : record)),
    ],
    [
      'a record that is not canonical',
      'record_malformed',
      (batches) => [...batches, [{ ...denial(), record: ` ${denial().record}` }]],
    ],
    [
      'a record with a member nobody knows',
      'record_malformed',
      (batches) => [...batches, [{ record: '{"a":1}', disclosure: null }]],
    ],
    [
      'a disclosure of somebody else',
      'disclosure_differs',
      (batches) => [...batches, [{ ...denial(), disclosure: denial().disclosure }]],
    ],
    [
      'a log that names a successor it has not',
      'roll_wrong',
      (batches) => [...batches, [write.write('roll', { state: 'end', log: `${origin}~2` }, null)]],
    ],
    [
      'a log that claims to follow one',
      'roll_wrong',
      (batches) => [
        ...batches,
        [write.write('roll', { state: 'begin', log: origin, size: 1, root: digest('r') }, null)],
      ],
    ],
  ])('is found with %s, by itself', async (_, code, change) => {
    expect(codes(await verifyIn(await forged(change)))).toEqual([code]);
  });

  it('is found under another key, or as another log', async () => {
    const folder = newFolder();
    folders.push(folder);
    await forgeLog(folder, new Uint8Array(32).fill(8), origin, honest);
    const own = await openIn(newFolder(), { checkpointKey: seed, origin });
    const key = await own.key(soon());
    await own.close();
    const { source, close } = await inspectSqliteLedger({ kind: 'sqlite', path: 'ledger.db' }, folder);
    const report = await verifyLog(source, { key, needIntent: new Set() });
    await close();
    expect(codes(report)).toEqual(expect.arrayContaining(['key_differs', 'signature']));
    await expect(verifyIn(folder, [...kept.values()][3])).rejects.toThrow('not_signed');
  });
});
