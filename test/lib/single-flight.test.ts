import { expect, test } from 'vitest';
import { singleFlight } from '../../src/lib/single-flight.ts';

test('callers of one key share one piece of work, callers of another do not', async () => {
  const fly = singleFlight<string>();
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
  const fly = singleFlight<number>();
  let count = 0;
  const work = async () => ++count;
  expect([await fly('a', work), await fly('a', work)]).toEqual([1, 2]);
});

test('a failure reaches all who wait and is then forgotten', async () => {
  const fly = singleFlight<string>();
  const failing = async () => {
    throw new Error('down');
  };
  const both = await Promise.allSettled([fly('a', failing), fly('a', failing)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await fly('a', async () => 'up')).toBe('up');
});
