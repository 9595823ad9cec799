import { setTimeout as pause } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Poll } from '../../../src/ledger/following.ts';
import { soon } from '../fixtures.ts';
import {
  closeEach,
  type First,
  follow,
  following,
  issue,
  openFirst,
  openFollower,
  pledgeOf,
  said,
  usePostgres,
} from './first-and-standby.ts';

closeEach();

// Several processes of a first over one PostgreSQL: the standby asks one of them, the others hear of it by what that keeps.

const { place } = usePostgres();

const usual = { standby: 'frankfurt', within: 1_000 };

it('are refused nothing under steady load, whichever of them the standby asks', {
  timeout: 60_000,
  retry: 2,
}, async () => {
  const tables = await place();
  // What a busy machine takes away from all of them is nobody's silence.
  const patient = { ...usual, within: 3_000 };
  const firsts = await Promise.all([0, 1, 2].map(() => openFirst(tables, patient)));
  const [asked] = firsts as [First, ...First[]];
  let last: Poll | undefined;
  const { standby } = await openFollower(
    () => asked,
    usual.standby,
    undefined,
    async (poll) => {
      last = poll;
    },
  );
  await follow(standby);
  let going = true;
  const polling = (async () => {
    while (going) {
      // As the route does it: an answer waits for something new, for a second at most.
      if ((await standby.follow(soon())) === 0) await asked.confirming.news(last as Poll, 1_000, soon());
    }
  })();
  polling.catch(() => {});
  const waits: number[] = [];
  const until = performance.now() + 3_000;
  const load = firsts.flatMap((first) =>
    [0, 1].map(async (at) => {
      // Now alone, now two at once; and none for so long that the others would know of nobody.
      for (let turn = 0; performance.now() < until; turn++) {
        const began = performance.now();
        await issue(first.ledger);
        waits.push(performance.now() - began);
        await pause(turn % 8 === 7 ? 700 : 20 + at * 13);
      }
    }),
  );
  // Those that nobody asked have heard of nobody for long: one waits to be confirmed as the next one comes.
  const late = async ({ ledger }: First) => {
    const some = [issue(ledger)];
    for (let at = 0; at < 4; at++) {
      await pause(20);
      some.push(issue(ledger));
    }
    await Promise.all(some);
  };
  await Promise.all(load)
    .then(() => pause(patient.within + 1_500))
    .then(() => Promise.all(firsts.map(late)))
    .finally(() => {
      going = false;
      return polling;
    });
  expect(waits.length).toBeGreaterThan(40);
  expect(said).not.toContain('standby_away');
  for (const { ledger } of firsts) await ledger.ready(soon());
});

it('answer by no confirmation that was kept of a database that is not relied on any more', async () => {
  const tables = await place();
  const first = await openFirst(tables, usual);
  const { standby } = await openFollower(() => first);
  await follow(standby);
  const other = await openFirst(tables, { ...usual, within: 3_000 });
  const { texts, reader } = other.ledger as Required<First['ledger']>;
  const { instance = '' } = (await pledgeOf(other.ledger)) ?? {};
  // From here on it keeps nothing, also not what it was about to.
  await first.ledger.close();
  const kept = () => texts.read('standby:frankfurt', soon());
  const end = async () => {
    const { base, size } = await reader.head(soon());
    return base + size;
  };
  const held = async () => {
    const before = await end();
    const answer = issue(other.ledger);
    answer.catch(() => {});
    await expect.poll(end, { timeout: 2_500 }).toBeGreaterThan(before);
    return { answer };
  };
  const claims = async (by: string) => {
    const { generation, base, size, checkpoint } = await reader.head(soon());
    const root = checkpoint.split('\n', 3)[2];
    const text = JSON.stringify({ confirmed: base + size, generation, root, at: Date.now(), instance: by });
    // What was on its way to the database as that one ended may come between.
    await expect.poll(async () => texts.write('standby:frankfurt', await kept(), text, soon())).toBe(true);
    return text;
  };
  const { answer } = await held();
  const text = await claims('an-older-one');
  await expect(answer).rejects.toMatchObject({ reason: 'unconfirmed' });
  expect(await kept()).toBe(text);
  const next = await held();
  await claims(instance);
  await next.answer;
});

it('take nothing back that another one heard later, and keep in the end what came too soon after another', async () => {
  const tables = await place();
  const [first, other] = [await openFirst(tables, usual), await openFirst(tables, usual)];
  let turn = 0;
  const { standby } = await openFollower(() => (turn++ % 2 === 0 ? first : other));
  await follow(standby);
  const { texts, reader } = first.ledger as Required<First['ledger']>;
  const confirmed = async () => JSON.parse((await texts.read('standby:frankfurt', soon())) ?? '{}').confirmed as number;
  let most = 0;
  for (let at = 0; at < 20; at++) {
    await following(standby, issue(first.ledger));
    const now = (await confirmed()) ?? 0;
    expect(now).toBeGreaterThanOrEqual(most);
    most = now;
  }
  const { base, size } = await reader.head(soon());
  // Nobody asks any more: what was heard last is kept all the same.
  await expect.poll(confirmed, { timeout: 2_000 }).toBe(base + size);
});
