import { describe, expect, it } from 'vitest';
import { forgetStandby } from '../../../src/ledger/confirming/pledge.ts';
import type { Poll } from '../../../src/ledger/following.ts';
import { onceTakenFrom, promote } from '../../../src/ledger/going-on/promote.ts';
import { openStandby } from '../../../src/ledger/going-on/standby.ts';
import type { Ledger } from '../../../src/ledger/ledger.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import { asking, digest, soon } from '../fixtures.ts';
import {
  closeEach,
  folder,
  follow,
  following,
  issue,
  itself,
  openFirst,
  openFollower,
  origin,
  pledgeOf as reads,
  said,
  terms,
  write,
} from './first-and-standby.ts';

closeEach();

describe('a first whose standby confirms', () => {
  it('answers once its standby has what it answers, and refuses as unconfirmed while that is away; a retry finds the record', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    const record = asking(write.issuance(write.id()));
    await expect(first.ledger.append(record, soon())).rejects.toMatchObject({
      code: 'ledger_unavailable',
      reason: 'unconfirmed',
      options: { retryAfter: 1 },
    });
    await follow(standby);
    const { receipts } = await following(standby, first.ledger.append(record, soon()));
    expect(receipts[0]?.log).toBe(origin);
    const there = (await own.reader?.list({ type: 'issuance', limit: 9 }, soon())) ?? [];
    expect(there.map((entry) => entry.record)).toEqual([record.entries[0]?.record]);
    const { receipts: later } = await following(standby, issue(first.ledger));
    // The promise began with a log of its own.
    expect(later[0]?.log).toBe(`${origin}~2`);
    expect(await reads(first.ledger)).toMatchObject({ state: 'on', generation: 2 });
    await first.ledger.ready(soon());
  });

  it('says that its standby is away, also where nothing is asked of it, and that it is back, once each', async () => {
    const about = () => said.filter((event) => event.startsWith('standby_'));
    const first = await openFirst(folder(), terms);
    for (let time = 0; time < 2; time++)
      await expect(first.ledger.ready(soon())).rejects.toMatchObject({ reason: 'unconfirmed' });
    expect(about()).toEqual(['standby_away']);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    await first.ledger.ready(soon());
    await following(standby, issue(first.ledger));
    expect(about()).toEqual(['standby_away', 'standby_back']);
  });

  it('takes no other history of as many entries for a confirmation', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    const pledge = await reads(first.ledger);
    const head = await first.ledger.reader?.head(soon());
    const waiting = issue(first.ledger);
    waiting.catch(() => {});
    await expect.poll(async () => (await first.ledger.reader?.head(soon()))?.size).toBeGreaterThan(head?.size ?? 0);
    const { base, size, generation } = await (first.ledger as Required<Ledger>).reader.head(soon());
    const poll = { name: terms.standby, instance: pledge?.instance ?? '', heard: 99, after: base + size, generation };
    await first.confirming.polled({ ...poll, root: `${'A'.repeat(43)}=` }, soon());
    await first.confirming.polled({ ...poll, generation: 1, root: `${'A'.repeat(43)}=` }, soon());
    await first.confirming.polled(poll, soon());
    await expect(waiting).rejects.toMatchObject({ reason: 'unconfirmed' });
  });

  it('rolls only when its standby knows, which does not take over until it has the new log', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    const rolling = (first.ledger as Required<Ledger>).roll({ reason: 'ordered' }, soon());
    await expect.poll(async () => (await reads(first.ledger))?.generation).toBe(3);
    expect((await first.ledger.reader?.head(soon()))?.generation).toBe(2);
    await standby.follow(soon());
    await expect(itself(own)).rejects.toMatchObject({ reason: 'not_covered' });
    await expect(promote(own, { checkpoints: [], onceAfter: 1, now: Date.now() }, soon)).rejects.toThrow(
      'about to go on',
    );
    expect(await following(standby, rolling)).toMatchObject({ log: `${origin}~3`, done: true });
    expect(await itself(own)).toMatchObject([{ done: true, log: `${origin}~4` }]);
  });

  it('is replaced without a clock or a loss: nothing is answered by it any more, and it says so once it hears', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    const once = digest('q');
    await following(standby, first.ledger.append({ ...asking(write.issuance(write.id(), { once })), once }, soon()));
    await following(standby, first.ledger.append(asking(write.lockdown('add', 'issuer', 1, { issuer: 'x' })), soon()));
    await standby.takeOver(soon);
    const knowing = () => ({ ...asking(write.issuance(write.id(), { epoch: 1 })), epoch: 1 });
    await expect(first.ledger.append(knowing(), soon())).rejects.toMatchObject({ reason: 'unconfirmed' });
    expect(await onceTakenFrom(own, soon())).toBeLessThanOrEqual(Date.now());
    const spending = (key: string) => ({
      ...asking(write.issuance(write.id(), { once: key, epoch: 1 })),
      once: key,
      epoch: 1,
    });
    await expect(standby.ledger.append(spending(once), soon())).rejects.toMatchObject({ code: 'replayed' });
    const other = digest('o');
    expect((await standby.ledger.append(spending(other), soon())).receipts[0]?.log).toBe(`${origin}~3`);
    await expect(issue(standby.ledger)).rejects.toMatchObject({ code: 'stale' });
    expect(await standby.follow(soon())).toBe(0);
    const { instance } = (await reads(first.ledger)) ?? { instance: '' };
    await first.confirming.polled({ name: terms.standby, after: 0, instance, promoted: 3 }, soon());
    await expect(first.ledger.append(knowing(), soon())).rejects.toMatchObject({ reason: 'replaced' });
    await expect(first.ledger.ready(soon())).rejects.toMatchObject({ reason: 'replaced' });
    expect(said).toContain('replaced_by_standby');
  });

  it('has no tokens refused by the one that took over, though its clock is set back then', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    await standby.takeOver(soon);
    const { ledger } = openStandby(own, { now: () => Date.now() - 3_600_000, ask: () => Promise.reject(new Error()) });
    const once = digest('q');
    await ledger.append({ ...asking(write.issuance(write.id(), { once })), once }, soon());
  });

  it('keeps no question waiting for as long as its clock is set back meanwhile', async () => {
    let back = 0;
    const first = await openFirst(folder(), terms, true, () => Date.now() - back);
    let asked: Poll | undefined;
    const { standby } = await openFollower(
      () => first,
      terms.standby,
      undefined,
      async (poll) => {
        asked = poll;
      },
    );
    await follow(standby);
    const began = performance.now();
    const news = first.confirming.news(asked as Poll, 1_000, deadlineIn(20_000, Date.now));
    back = 3_600_000;
    await news;
    expect(performance.now() - began).toBeLessThan(10_000);
  });

  it('says that another process promised something whenever that begins', async () => {
    const place = folder();
    const bare = await openFirst(place, undefined, false);
    await issue(bare.ledger);
    const { standby } = await openFollower(() => first);
    const first = await openFirst(place, terms);
    for (let time = 1; time < 3; time++) {
      await follow(standby);
      await expect(issue(bare.ledger)).rejects.toMatchObject({ reason: 'confirm_promised' });
      await expect(issue(bare.ledger)).rejects.toMatchObject({ reason: 'confirm_promised' });
      expect(said.filter((event) => event === 'confirm_promised')).toHaveLength(time);
      await forgetStandby((first.ledger as Required<Ledger>).texts, 'frankfurt', soon());
      await bare.ledger.ready(soon());
      await issue(bare.ledger);
    }
  });

  it('answers by what another process of it was told', async () => {
    const place = folder();
    const first = await openFirst(place, { ...terms, within: 5_000 });
    const second = await openFirst(place, { ...terms, within: 5_000 });
    const { standby } = await openFollower(() => first);
    await follow(standby);
    await following(standby, issue(second.ledger));
  });
});

describe('a log that ends by force', () => {
  const lost = { size: 9, root: new Uint8Array(32).fill(5) };

  it('goes on where nothing is promised, whatever the config wants, and is left to the standby where something is', async () => {
    const first = await openFirst(folder(), terms, false);
    const { roll } = first.ledger as Required<Ledger>;
    expect(await roll({ lost, reason: 'restored' }, soon())).toMatchObject({ log: `${origin}~2`, done: true });
    const serving = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => serving);
    await follow(standby);
    await expect((serving.ledger as Required<Ledger>).roll({ lost }, soon())).rejects.toMatchObject({
      reason: 'confirm_promised',
    });
  });
});

describe('the database of a first', () => {
  it('follows nobody while it has a promise of its own, and says nothing that would be relied on', async () => {
    const place = folder();
    const old = await openFirst(place, terms);
    const { standby } = await openFollower(() => old);
    await follow(standby);
    await following(standby, issue(old.ledger));
    await follow(standby, 2);
    await old.ledger.close();
    const asked: unknown[] = [];
    const next = await openFirst(folder(), { standby: 'berlin', within: 300 });
    const swapped = await openFollower(
      () => next,
      'berlin',
      place,
      async (poll) => void asked.push(poll),
    );
    for (let time = 0; time < 3; time++)
      await expect(swapped.standby.follow(soon())).rejects.toMatchObject({ reason: 'not_empty' });
    expect([asked, await reads(next.ledger)]).toEqual([[], undefined]);
    expect(await swapped.own.texts?.read('relied', soon())).toBeUndefined();
  });
});

describe('a promise that is not wanted any more', () => {
  it('keeps a first that was started without it from answering until the standby has heard so', async () => {
    const place = folder();
    let first = await openFirst(place, terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    await following(standby, issue(first.ledger));
    first = await openFirst(place);
    await expect(issue(first.ledger)).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'confirm_promised' });
    await expect((first.ledger as Required<Ledger>).roll({}, soon())).rejects.toMatchObject({
      reason: 'confirm_promised',
    });
    await expect(first.ledger.ready(soon())).rejects.toMatchObject({ reason: 'confirm_promised' });
    expect(said).toContain('confirm_promised');
    await follow(standby, 2);
    await issue(first.ledger);
    await follow(standby, 2);
    await expect(itself(own)).rejects.toMatchObject({ reason: 'not_covered' });
    // As ever: nobody knows what was spent there since.
    await promote(own, { checkpoints: [], onceAfter: 3_600_000, now: Date.now() }, soon);
    expect(await onceTakenFrom(own, soon())).toBeGreaterThan(Date.now());
  });

  it('stops a process without it that was there before it was made', async () => {
    const place = folder();
    const old = await openFirst(place);
    await issue(old.ledger);
    const first = await openFirst(place, terms);
    const { standby } = await openFollower(() => first);
    await follow(standby);
    await expect(issue(old.ledger)).rejects.toMatchObject({ reason: 'confirm_promised' });
    await following(standby, issue(first.ledger));
  });

  it('is taken back by an operator, for a standby that is gone; its next database begins anew', async () => {
    const first = await openFirst(folder(), terms);
    const { own, standby } = await openFollower(() => first);
    await follow(standby);
    const next = await openFollower(() => first);
    await follow(next.standby);
    await expect(issue(first.ledger)).rejects.toMatchObject({ reason: 'unconfirmed' });
    expect(said).toContain('other_standby_instance');
    await expect(itself(next.own)).rejects.toMatchObject({ reason: 'not_covered' });
    expect(await forgetStandby((first.ledger as Required<Ledger>).texts, 'frankfurt', soon())).toMatchObject({
      standby: 'frankfurt',
    });
    await follow(next.standby);
    await following(next.standby, issue(first.ledger));
    await standby.follow(soon());
    await follow(standby);
    await expect(itself(own)).rejects.toMatchObject({ reason: 'not_covered' });
    await itself(next.own);
  });

  it('is of one standby: another one is sent all, confirms nothing and takes nothing over', async () => {
    const first = await openFirst(folder(), terms);
    const { standby } = await openFollower(() => first);
    const other = await openFollower(() => first, 'paris');
    await follow(standby);
    await follow(other.standby);
    await expect(following(other.standby, issue(first.ledger))).rejects.toMatchObject({ reason: 'unconfirmed' });
    await expect(itself(other.own)).rejects.toMatchObject({ reason: 'not_covered' });
  });
});
