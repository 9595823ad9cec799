import { describe, expect, test } from 'vitest';
import { epochGuard } from '../../../src/ledger/drivers/http/epoch-guard.ts';
import { Refusal } from '../../../src/lib/refusal.ts';
import { asking, clockAt, policyHash, scribe, soon } from '../fixtures.ts';

const lockdown = (id: string, until?: string) => ({ id, epoch: 5, match: {}, ...(until && { until }) });
const stale = (epoch: number, ...lockdowns: object[]) =>
  new Refusal('stale', 'stale', { members: { epoch, lockdowns } });

/** A guard whose ledger is of the first generation, and says `told` when it is asked. */
function rig(told: () => Refusal) {
  const clock = clockAt();
  const write = scribe(clock);
  const state = { generation: 1, asked: 0 };
  const guard = epochGuard({
    seen: () => new Map([['ledger', { generation: state.generation }]]),
    async ask(policy) {
      expect(policy).toBe(policyHash);
      state.asked++;
      throw told();
    },
    now: () => clock.now(),
  });
  const request = (epoch = 5) => ({ ...asking(write.intent(write.id(), { epoch })), epoch });
  const append = async (epoch?: number) => guard.sending(request(epoch))(soon());
  const deny = async () => guard.sending({ ...asking(write.denial()), epoch: 5 })(soon());
  return { clock, guard, state, append, deny, request };
}

describe('a log that follows another', () => {
  test('is asked once what is locked down, and nothing else happens where it is the same', async () => {
    const { guard, state, append } = rig(() => stale(5, lockdown('x')));
    guard.hear(stale(5, lockdown('x')));
    await append();
    expect(state.asked).toBe(0);
    state.generation = 2;
    await append();
    await append();
    expect(state.asked).toBe(1);
  });

  test('is not asked by who never heard of a lockdown', async () => {
    const { state, append } = rig(() => stale(0));
    await append(0);
    state.generation = 2;
    await append(0);
    expect(state.asked).toBe(0);
  });

  test('counts another lockdown by the epoch of one that it lost: what was decided before is not handed over', async () => {
    const { guard, state, clock, append, deny, request } = rig(() => stale(5, lockdown('y')));
    guard.hear(stale(5, lockdown('x')));
    await append();
    const onTheWay = guard.sending(request());
    state.generation = 2;
    await expect(append()).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'decided_before_succession' });
    await expect(onTheWay(soon())).rejects.toMatchObject({ reason: 'decided_before_succession' });
    // Who asks next hears of it, and so does whatever was decided before and is appended only now.
    const { members } = stale(5, lockdown('y')).options;
    for (let n = 0; n < 2; n++) await expect(append()).rejects.toMatchObject({ code: 'stale', options: { members } });
    await deny();
    clock.at += 60_000;
    await append();
    expect(state.asked).toBe(1);
  });

  test('may have ended a lockdown by its time, which is no other epoch', async () => {
    const { guard, state, clock, append } = rig(() => stale(5));
    guard.hear(stale(5, lockdown('x', '2026-11-22T12:00:10Z')));
    await append();
    clock.at += 10_000;
    state.generation = 2;
    await append();
    expect(state.asked).toBe(1);
  });

  test('is believed nothing where it does not say what is locked down', async () => {
    const { guard, state, append } = rig(() => new Refusal('ledger_unavailable', 'timeout'));
    guard.hear(stale(5, lockdown('x')));
    await append();
    state.generation = 2;
    for (let n = 1; n <= 2; n++) {
      await expect(append()).rejects.toMatchObject({ code: 'ledger_unavailable', reason: 'epoch_unheard' });
      expect(state.asked).toBe(n);
    }
  });
});
