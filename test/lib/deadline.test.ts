import { expect, test } from 'vitest';
import { before, deadlineAt, deadlineIn } from '../../src/lib/deadline.ts';

const late = () => new Error('late');
const never = new Promise<never>(() => {});

test('a deadline counts down and never below zero', () => {
  let now = 1000;
  const deadline = deadlineIn(500, () => now);
  expect([deadline.at, deadline.left()]).toEqual([1500, 500]);
  now = 1400;
  expect(deadline.left()).toBe(100);
  now = 9000;
  expect(deadline.left()).toBe(0);
});

test('a step gets the lesser of its own time and what is left, less the reserve', () => {
  const deadline = deadlineAt(10_000, () => 0);
  expect(deadline.within(2000).at).toBe(2000);
  expect(deadline.within(20_000).at).toBe(10_000);
  expect(deadline.within(20_000, 2000).at).toBe(8000);
  expect(
    deadlineAt(1000, () => 0)
      .within(5000, 2000)
      .left(),
  ).toBe(0);
});

test('work settles as it does when it is in time', async () => {
  const deadline = deadlineIn(60_000, Date.now);
  expect(await before(deadline, late, async () => 'done')).toBe('done');
  await expect(
    before(deadline, late, async () => {
      throw new Error('broken');
    }),
  ).rejects.toThrow('broken');
});

test('work that hangs is left at the deadline and told so', async () => {
  let told = false;
  const work = (signal: AbortSignal) => {
    signal.addEventListener('abort', () => {
      told = true;
    });
    return never;
  };
  await expect(before(deadlineIn(10, Date.now), late, work)).rejects.toThrow('late');
  expect(told).toBe(true);
});

test('work is not begun once the deadline has passed', async () => {
  let begun = false;
  const work = async () => {
    begun = true;
  };
  await expect(before(deadlineAt(0, Date.now), late, work)).rejects.toThrow('late');
  expect(begun).toBe(false);
});

test('work that fails after the deadline is no unhandled rejection', async () => {
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  const work = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => setTimeout(() => reject(new Error('after')), 5));
    });
  await expect(before(deadlineIn(5, Date.now), late, work)).rejects.toThrow('late');
  await new Promise((resolve) => setTimeout(resolve, 30));
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});
