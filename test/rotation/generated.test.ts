import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
import { Refusal } from '../../src/lib/refusal.ts';
import { Secret } from '../../src/lib/secret.ts';
import { StoreError } from '../../src/stores/store.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { temporaryFolder } from '../support/server.ts';
import { newIssuer, steps } from './rig.ts';

const hour = 3_600_000;
const credential = 'session-key';
const issuer = newIssuer();
const open: (() => Promise<void>)[] = [];
let folder: string;
let shift = 0;
let logged: unknown[];
const now = () => Date.now() + shift;
const soon = () => deadlineIn(12_000, now);

beforeEach(() => {
  const made = temporaryFolder();
  folder = made.folder;
  open.push(async () => made.remove());
  shift = 0;
  logged = [];
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function openOne(): Promise<OpenBroker> {
  const rotate = { kind: 'generate', every: '1h' };
  const config = embeddedConfig(folder, issuer, {
    stores: { here: { kind: 'local', path: join(folder, 'store') } },
    credentials: { [credential]: { kind: 'secret', store: 'here', name: 'session', rotate } },
    roles: { checkout: [credential], auditor: { audit: 'read' } },
  });
  const log = (...line: unknown[]) => void logged.push(line);
  const broker = await openBroker(config, folder, { now, log });
  open.push(() => broker.deployment.close());
  return broker;
}

/** One whose first value is old enough to be rotated. */
async function openOld(): Promise<OpenBroker> {
  const broker = await openOne();
  await (await storeOf(broker)).put('session', new Secret('first'), soon());
  shift += 2 * hour;
  return broker;
}

const storeOf = ({ deployment }: OpenBroker) => deployment.openStore('here');
const current = async (broker: OpenBroker) => (await storeOf(broker)).get('session', undefined, soon());
const rotate = ({ deployment }: OpenBroker) => deployment.rotate(credential, soon(), { force: false });
const counted = ({ deployment }: OpenBroker, outcome: string) =>
  Number(
    new RegExp(`hallpass_rotations_total\\{credential="${credential}",outcome="${outcome}"\\} (\\d+)`).exec(
      deployment.metrics.render(),
    )?.[1] ?? 0,
  );

/** Makes appends of one type of record fail. */
function failing({ deployment }: OpenBroker, type: string, times: number): () => void {
  const { ledger } = deployment;
  const { append } = ledger;
  let left = times;
  ledger.append = (...about) =>
    about[0].entries.some(({ record }) => record.includes(`"type":"${type}"`)) && left-- > 0
      ? Promise.reject(new Refusal('ledger_unavailable', 'timeout'))
      : append(...about);
  return () => {
    ledger.append = append;
  };
}

describe('on schedule', () => {
  it('records, counts and logs that nothing is stored yet, makes no value, and looks again ten minutes later', async () => {
    const broker = await openOne();
    for (const round of [1, 2]) {
      await broker.deployment.recover(soon());
      await broker.deployment.recover(soon());
      expect(await steps(broker)).toEqual(Array(round).fill('failed store_absent'));
      expect(counted(broker, 'failed')).toBe(round);
      shift += 11 * 60_000;
    }
    expect(logged.filter((line) => JSON.stringify(line).includes('rotation_failed'))).toEqual(
      Array(2).fill(['error', 'rotation_failed', { credential, reason: 'store_absent' }]),
    );
    await expect(current(broker)).rejects.toMatchObject({ fault: 'absent' });
    // By hand the first value is made, and from then on the schedule goes on.
    expect(await rotate(broker)).toEqual({ credential, version: '1' });
    shift += 2 * hour;
    await broker.deployment.recover(soon());
    expect((await current(broker)).version).toBe('2');
    expect(counted(broker, 'failed')).toBe(2);
  });

  it('records and counts a store that cannot be asked how old its value is, or does not tell', async () => {
    const broker = await openOld();
    const store = await storeOf(broker);
    const { describe: tell } = store;
    store.describe = () => Promise.reject(new StoreError('unreachable'));
    await broker.deployment.recover(soon());
    shift += 11 * 60_000;
    store.describe = async (...about) => {
      const { createdAt: _, ...told } = await tell(...about);
      return told;
    };
    await broker.deployment.recover(soon());
    expect(await steps(broker)).toEqual(['failed store_unreachable', 'failed undated']);
    expect(counted(broker, 'failed')).toBe(2);
  });

  it('does not rotate what another instance has rotated since it was looked at', async () => {
    const broker = await openOld();
    const other = await openOne();
    const store = await storeOf(broker);
    const { describe: tell } = store;
    store.describe = async (...about) => {
      const told = await tell(...about);
      store.describe = tell;
      await rotate(other);
      return told;
    };
    await broker.deployment.recover(soon());
    expect((await current(broker)).version).toBe('2');
  });
});

describe('several at once', () => {
  it('in one process write one value, and all are told its version', async () => {
    const broker = await openOld();
    const reports = await Promise.all([rotate(broker), rotate(broker), rotate(broker)]);
    expect(reports).toEqual(Array(3).fill({ credential, version: '2', previous: '1' }));
    expect(await steps(broker)).toEqual(['started 1', 'set', 'tried', 'store-write 2', 'current 2']);
  });

  it('does not write over what was stored while it was getting ready', async () => {
    const broker = await openOld();
    const { ledger } = broker.deployment;
    const { append } = ledger;
    ledger.append = async (...about) => {
      const done = await append(...about);
      if (about[0].entries.some(({ record }) => record.includes('"step":"tried"')))
        await (await storeOf(broker)).put('session', new Secret('somebody-elses'), soon());
      return done;
    };
    await expect(rotate(broker)).rejects.toMatchObject({ reason: 'changed_meanwhile' });
    expect((await current(broker)).value.revealText()).toBe('somebody-elses');
    expect((await steps(broker)).slice(-2)).toEqual(['tried', 'failed changed_meanwhile']);
  });
});

describe('what was written', () => {
  it('is recorded where the ledger takes the record at the second attempt', async () => {
    const broker = await openOld();
    failing(broker, 'store-write', 1);
    expect(await rotate(broker)).toEqual({ credential, version: '2', previous: '1' });
    expect(await steps(broker)).toEqual(['started 1', 'set', 'tried', 'store-write 2', 'current 2']);
  });

  it('is recorded by the next pass where the ledger was away', async () => {
    const broker = await openOld();
    const heal = failing(broker, 'store-write', 99);
    await expect(rotate(broker)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    expect((await current(broker)).version).toBe('2');
    await broker.deployment.recover(soon());
    expect((await steps(broker)).filter((step) => step.startsWith('store-write'))).toEqual([]);
    heal();
    await broker.deployment.recover(soon());
    await broker.deployment.recover(soon());
    expect((await steps(broker)).filter((step) => step.startsWith('store-write'))).toEqual(['store-write 2']);
  });

  it('is recorded where the store wrote and its answer was lost', async () => {
    const broker = await openOld();
    const store = await storeOf(broker);
    const { put } = store;
    store.put = async (...what) => {
      await put(...what);
      throw new StoreError('slow');
    };
    expect(await rotate(broker)).toEqual({ credential, version: '2', previous: '1' });
    expect(await steps(broker)).toEqual(['started 1', 'set', 'tried', 'store-write 2', 'current 2']);
  });

  it('is recorded where the store cannot be read afterwards', async () => {
    const broker = await openOld();
    const store = await storeOf(broker);
    const { get, put } = store;
    store.put = async (...what) => {
      const done = await put(...what);
      store.get = () => Promise.reject(new StoreError('unreachable'));
      return done;
    };
    await expect(rotate(broker)).rejects.toMatchObject({ reason: 'store_unreachable' });
    store.get = get;
    expect((await steps(broker)).slice(-2)).toEqual(['store-write 2', 'failed store_unreachable']);
  });

  it.each(['before', 'after'] as const)(
    'is told by the next instance, once, where a process ends right %s it wrote',
    async (when) => {
      const broker = await openOld();
      const store = await storeOf(broker);
      const { put } = store;
      store.put = async (...what) => {
        if (when === 'after') await put(...what);
        // As if the process were gone: nothing of it is recorded any more.
        failing(broker, 'store-write', 99);
        failing(broker, 'rotation', 99);
        throw new StoreError('denied');
      };
      await rotate(broker).catch(() => {});
      const others = [await openOne(), await openOne()];
      const recover = () => Promise.all(others.map(({ deployment }) => deployment.recover(soon())));
      const version = when === 'after' ? '2' : '1';
      shift += 11 * 60_000;
      const before = logged.length;
      await recover();
      const told = (await steps(others[0] as OpenBroker)).filter((step) => step === 'failed cut_short');
      expect(told).toHaveLength(1);
      const entries = (await others[0]?.deployment.ledger.reader?.list({ type: 'rotation', limit: 50 }, soon())) ?? [];
      const records = entries.map(({ record }) => JSON.parse(record));
      expect(records.find(({ reason }) => reason === 'cut_short')).toMatchObject({ credential, version });
      expect(logged.slice(before).filter((line) => JSON.stringify(line).includes('unrecorded'))).toEqual([]);
    },
  );
});
