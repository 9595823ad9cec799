import { describe, expect, it } from 'vitest';
import { type Broken, newTally, runSchedule } from './confirming-model.ts';

const schedules = Number(process.env.HALLPASS_SCHEDULES ?? 100);
const steps = 1_500;

describe('answers that wait for a standby which may take over by itself', () => {
  it(`lose nothing, and no log begins twice, in ${schedules} schedules of ${steps} steps (HALLPASS_SCHEDULES says how many)`, async () => {
    const tally = newTally();
    const from = Number(process.env.HALLPASS_SEED ?? 1);
    for (let seed = from; seed < from + schedules; seed++) await runSchedule(seed, steps, tally);
    if (process.env.HALLPASS_SCHEDULES !== undefined) console.log(JSON.stringify(tally));
    // A schedule in which nothing happens shows nothing.
    expect(tally.answered).toBeGreaterThan(schedules);
    expect(tally.promotions).toBeGreaterThan(schedules / 10);
    expect(tally.rolls).toBeGreaterThan(schedules);
    expect(tally.pledges).toBeGreaterThan(schedules);
    expect(tally.told).toBeGreaterThan(schedules / 10);
    expect(tally.late).toBeGreaterThan(0);
  }, 3_600_000);

  // With the seed from which on it does not take long.
  const faults: (Broken & { readonly from: number })[] = [
    { answersAtOnce: true, from: 1 },
    { promotesAnyway: true, from: 1 },
    { forgetsFence: true, from: 1 },
    { rollsAlone: true, from: 1 },
    { takesAnyDatabase: true, from: 1 },
    { hearsTooEarly: true, from: 1 },
    { tellsWhatIsThere: true, from: 1 },
  ];
  it.each(faults)(
    'are found out by the model where they are wrong: %j',
    async ({ from, ...broken }) => {
      const found = async () => {
        for (let seed = from; seed < from + 400; seed++) await runSchedule(seed, steps, newTally(), broken);
      };
      await expect(found()).rejects.toThrow(/lost|twice/);
    },
    60_000,
  );
});
