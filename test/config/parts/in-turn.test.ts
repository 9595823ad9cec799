import { expect, test } from 'vitest';
import { inTurn } from '../../../src/config/parts/in-turn.ts';

test('each step runs after the one before, and the first failure is told when all are done', async () => {
  const done: string[] = [];
  const step = (name: string, error?: Error) => async () => {
    await Promise.resolve();
    done.push(name);
    if (error !== undefined) throw error;
  };
  const thrown = () => {
    done.push('thrown');
    throw new Error('third');
  };
  const all = inTurn([step('one'), step('two', new Error('second')), thrown, step('four')]);
  await expect(all).rejects.toThrow('second');
  expect(done).toEqual(['one', 'two', 'thrown', 'four']);
  await inTurn([step('five')]);
  expect(done.at(-1)).toBe('five');
});
