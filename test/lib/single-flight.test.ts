import { expect, test } from 'vitest';
import { singleFlight } from '../../src/lib/single-flight.ts';

test('callers of one key share one piece of work, callers of another do not', async () => {
  const fly = singleFlight<string>(Date.now, 5_000);
  const started: string[] = [];
  const work = (key: string) => async () => {
    started.push(key);
    await Promise.resolve();
    return key;
  };
  const all = ['a', 'a', 'b', 'a'].map((key) => fly(key, work(key)));
  expect(await Promise.all(all)).toEqual(['a', 'a', 'b', 'a']);
  expect(started).toEqual(['a', 'b']);
});

test('work that is done is done again for the next caller', async () => {
  const fly = singleFlight<number>(Date.now, 5_000);
  let count = 0;
  const work = async () => ++count;
  expect([await fly('a', work), await fly('a', work)]).toEqual([1, 2]);
});

test('a failure reaches all who wait and is then forgotten', async () => {
  const fly = singleFlight<string>(Date.now, 5_000);
  const failing = async () => {
    throw new Error('down');
  };
  const both = await Promise.allSettled([fly('a', failing), fly('a', failing)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await fly('a', async () => 'up')).toBe('up');
});

test('work that never ends is begun anew for who comes after its time', async () => {
  let at = 0;
  const fly = singleFlight<string>(() => at, 100);
  void fly('a', () => new Promise(() => {}));
  at = 101;
  expect(await fly('a', async () => 'anew')).toBe('anew');
});
