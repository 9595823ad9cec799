import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deadlineIn } from '../../src/lib/deadline.ts';
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
