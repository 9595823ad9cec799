import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ledger, Texts } from '../../../src/ledger/ledger.ts';
import { asking, soon } from '../fixtures.ts';
import {
  closeEach,
  folder,
  follow,
  following,
  issue,
  itself,
  openFirst,
  openFollower,
  terms,
  write,
} from './first-and-standby.ts';

closeEach();

type Full = Required<Ledger>;
const unconfirmed = { code: 'ledger_unavailable', reason: 'unconfirmed' };
const stale = (ledger: Ledger) =>
  ledger.append({ ...asking(write.issuance(write.id(), { epoch: 7 })), epoch: 7 }, soon());

describe('what nobody waits for', () => {
  let unhandled: unknown[];
  const hear = (error: unknown) => unhandled.push(error);
  beforeEach(() => {
    unhandled = [];
    process.on('unhandledRejection', hear);
  });
  afterEach(() => {
    process.off('unhandledRejection', hear);
  });

  it('is no unhandled rejection: of a batch that is refused whole, where another process of it promised something', async () => {
    const place = folder();
    const first = await openFirst(place, terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    const other = await openFirst(place);
    await expect(stale(other.ledger)).rejects.toMatchObject({ reason: 'confirm_promised' });
    other.confirming.hold(9, () => 9, 1);
    await pause(50);
    expect(unhandled).toEqual([]);
  });

  it('is no unhandled rejection: an answer that is not confirmed in time, or never will be', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    await expect(stale(first.ledger)).rejects.toMatchObject({ code: 'stale' });
    first.confirming.hold(2, () => 1_000, 1);
    await pause(terms.within + 100);
    first.confirming.hold(2, () => 1_000, 1);
    const { instance = '' } = JSON.parse((await first.ledger.texts?.read('pledge', soon())) ?? '{}');
    await first.confirming.polled({ name: terms.standby, after: 0, instance, promoted: 3 }, soon());
    first.confirming.hold(2, () => 1_000, 1);
    await pause(50);
    expect(unhandled).toEqual([]);
  });

  it('holds nothing back: a refusal is told at once', async () => {
    const first = await openFirst(folder(), { ...terms, within: 5_000 });
    const began = performance.now();
    await expect(stale(first.ledger)).rejects.toMatchObject({ code: 'stale' });
    expect(performance.now() - began).toBeLessThan(2_500);
  });
});

describe('what was not confirmed in time', () => {
  it('is answered by no retry that finds it there, until it is confirmed', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    const { ledger } = first;
    await follow(standby);
    const id = write.id();
    await following(standby, ledger.append(asking(write.issuance(id)), soon()));
    const revocation = asking(write.revocation(id));
    await expect(ledger.append(revocation, soon())).rejects.toMatchObject(unconfirmed);
    await expect(ledger.append(revocation, soon())).rejects.toMatchObject(unconfirmed);
    await expect(ledger.issuance(id, soon())).rejects.toMatchObject(unconfirmed);
    await expect(ledger.pending('unrevoked', soon())).rejects.toMatchObject(unconfirmed);
    const { reader } = ledger as Full;
    await expect(reader.story(id, soon())).rejects.toMatchObject(unconfirmed);
    await expect(reader.entries(0, 99, soon())).rejects.toMatchObject(unconfirmed);
    await expect(reader.list({ type: 'revocation', limit: 9 }, soon())).rejects.toMatchObject(unconfirmed);
    // What was confirmed before is told all the same.
    expect(await reader.list({ type: 'issuance', limit: 9 }, soon())).toHaveLength(1);
    await follow(standby);
    expect(await ledger.issuance(id, soon())).toHaveLength(2);
    await ledger.append(revocation, soon());
  });

  it('is not lifted twice, recorded twice or rolled twice in the meantime', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    const { ledger } = first;
    const { reader, ownKeys, roll } = ledger as Full;
    await follow(standby);
    await following(standby, issue(ledger));
    const lockdown = asking(write.lockdown('add', 'issuer', 1, { issuer: 'x' }));
    await expect(ledger.append(lockdown, soon())).rejects.toMatchObject(unconfirmed);
    await expect(reader.list({ type: 'lockdown', limit: 9 }, soon())).rejects.toMatchObject(unconfirmed);
    const key = [{ purpose: 'assertions', kid: 'next', jwk: {} }];
    await expect(ownKeys.record(key, [], soon())).rejects.toMatchObject(unconfirmed);
    await expect(ownKeys.record(key, [], soon())).rejects.toMatchObject(unconfirmed);
    await expect(roll({ generation: 1 }, soon())).rejects.toMatchObject(unconfirmed);
    await follow(standby);
    await ownKeys.record(key, [], soon());
    expect(await roll({ generation: 1 }, soon())).toMatchObject({ done: false, generation: 2 });
  });

  it('is nothing to end leases by where the standby was not heard of for long: it may have taken over', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    await following(standby, issue(first.ledger));
    await follow(standby, 1);
    expect(await first.ledger.pending('open', soon())).toEqual([]);
    await itself(own);
    await pause(terms.within + 2_600);
    await expect(first.ledger.pending('open', soon())).rejects.toMatchObject(unconfirmed);
  });

  it('is not told by one that was replaced and has not heard of it: neither what it has, nor what it has not', async () => {
    const place = folder();
    const first = await openFirst(place, terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    const id = write.id();
    const record = asking(write.issuance(id));
    await following(standby, first.ledger.append(record, soon()));
    await follow(standby, 2);
    await standby.takeOver(soon);
    await standby.ledger.append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'x' })), soon());
    await pause(terms.within + 2_600);
    for (const { ledger } of [first, await openFirst(place, terms)]) {
      const { reader } = ledger as Full;
      await expect(ledger.append(record, soon())).rejects.toMatchObject(unconfirmed);
      await expect(ledger.issuance(id, soon())).rejects.toMatchObject(unconfirmed);
      await expect(reader.list({ type: 'lockdown', limit: 9 }, soon())).rejects.toMatchObject(unconfirmed);
      await expect(reader.entries(0, 9, soon())).rejects.toMatchObject(unconfirmed);
      await expect(reader.story(id, soon())).rejects.toMatchObject(unconfirmed);
    }
  });

  it('is told without one more read of its database while the standby is heard of', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    await following(standby, issue(first.ledger));
    await follow(standby, 1);
    let reads = 0;
    const counted = <T>(given: T) => {
      reads++;
      return given;
    };
    const { texts, reader } = first.ledger as Full;
    first.confirming.bind({
      ...(first.ledger as Full),
      texts: { ...texts, read: (name, deadline) => counted(texts.read(name, deadline)) },
      head: (deadline) => counted(reader.head(deadline)),
      treeAt: (end, deadline) => counted((reader as Required<typeof reader>).treeAt(end, deadline)),
    });
    expect(await reader.list({ type: 'lockdown', limit: 9 }, soon())).toEqual([]);
    expect(await reader.list({ type: 'issuance', limit: 9 }, soon())).toHaveLength(1);
    expect(reads).toBe(0);
  });

  it('is told by no process that waits for nobody, where another one waits for it', async () => {
    const place = folder();
    const first = await openFirst(place, terms);
    const { standby } = await openFollower(() => first);
    const old = await openFirst(place, undefined, false);
    await follow(standby);
    const id = write.id();
    await expect(first.ledger.append(asking(write.issuance(id)), soon())).rejects.toMatchObject(unconfirmed);
    await expect(old.ledger.issuance(id, soon())).rejects.toMatchObject({ reason: 'confirm_promised' });
    await expect(old.ledger.ready(soon())).rejects.toMatchObject({ reason: 'confirm_promised' });
  });
});

describe('a process that waits for nobody', () => {
  it('looks once for each log, and its appends and its readiness need no text after that', async () => {
    const { ledger } = await openFirst(folder());
    await issue(ledger);
    const { texts } = ledger as { texts: { read: Texts['read'] } };
    let looks = 0;
    const { read } = texts;
    texts.read = async (name, deadline) => {
      looks++;
      return read(name, deadline);
    };
    for (let at = 0; at < 5; at++) await issue(ledger);
    await ledger.ready(soon());
    expect(looks).toBe(0);
    await ledger.roll?.({}, soon());
    const before = looks;
    for (let at = 0; at < 5; at++) await issue(ledger);
    expect(looks - before).toBe(1);
  });

  it('is not stopped by a look that fails in passing, and is not ready while all of them fail', async () => {
    const { ledger } = await openFirst(folder());
    await issue(ledger);
    const { texts } = ledger as { texts: { read: Texts['read'] } };
    const { read } = texts;
    let failing = 0;
    texts.read = async (name, deadline) => {
      if (failing-- > 0) throw new Error('it hiccups');
      return read(name, deadline);
    };
    await ledger.roll?.({}, soon());
    failing = 2;
    await issue(ledger);
    await ledger.roll?.({}, soon());
    failing = 3;
    await expect(issue(ledger)).rejects.toMatchObject({ code: 'ledger_unavailable' });
    const before = (await ledger.reader?.head(soon()))?.size;
    failing = 9;
    await expect(issue(ledger)).rejects.toMatchObject({ reason: 'promise_unread' });
    await expect(ledger.ready(soon())).rejects.toMatchObject({ reason: 'promise_unread' });
    expect((await ledger.reader?.head(soon()))?.size).toBe(before);
    await pause(500);
    failing = 0;
    await ledger.ready(soon());
    await issue(ledger);
  });
});
