import { describe, expect, it } from 'vitest';
import { openPulse, takeOverIfSilent } from '../../../src/config/parts/taking-over.ts';
import type { Standby } from '../../../src/ledger/going-on/standby.ts';
import { Refusal } from '../../../src/lib/refusal.ts';

describe('the pulse of a first', () => {
  it('is silent after that long and two questions without an answer, not by a pause of its own', () => {
    let at = 0;
    const pulse = openPulse(() => at);
    at = 60_000;
    expect(pulse.silent(5_000)).toBe(false);
    pulse.missed();
    expect(pulse.silent(5_000)).toBe(false);
    pulse.missed();
    expect(pulse.silent(5_000)).toBe(true);
    pulse.answered();
    pulse.missed();
    pulse.missed();
    expect(pulse.silent(5_000)).toBe(false);
    at += 5_000;
    expect(pulse.silent(5_000)).toBe(true);
  });
});

describe('a standby', () => {
  const standbyThat = (takeOver: () => Promise<void>) => ({ takeOver }) as unknown as Standby;

  it('takes over where the first is silent, and says once why it may not', async () => {
    const said: string[] = [];
    const platform = { now: Date.now, log: (_: string, event: string) => said.push(event) };
    const pulse = openPulse(() => 0);
    let tried = 0;
    const refusing = standbyThat(async () => {
      tried++;
      throw new Refusal('ledger_unavailable', 'not_covered');
    });
    const told = {};
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    expect(tried).toBe(0);
    pulse.missed();
    pulse.missed();
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    await takeOverIfSilent(refusing, pulse, 0, platform, told);
    expect([tried, said]).toEqual([2, ['not_promoted']]);
    await takeOverIfSilent(
      standbyThat(async () => {}),
      pulse,
      0,
      platform,
      told,
    );
    expect(said).toEqual(['not_promoted', 'promoted_itself']);
  });
});
