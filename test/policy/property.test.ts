import { expect, test } from 'vitest';
import { compilePolicy } from '../../src/policy/compile.ts';
import type { Decision, Permission } from '../../src/policy/policy.ts';
import { type Answer, referenceDecide, referenceExplain, referencePermits } from './reference.ts';
import { randomIdentity, randomLockdowns, randomWorld, seeded, shapes } from './worlds.ts';

/** How many random (policy, identity) pairs to compare; the seed of a failure is in its message. */
const pairs = Number(process.env.HALLPASS_POLICY_PAIRS ?? 2000);
const seed = Number(process.env.HALLPASS_POLICY_SEED ?? 20_261_122);
const identitiesPerPolicy = 10;

const now = Date.parse('2026-11-22T12:00:00Z');
const permissions: Permission[] = ['audit:read', 'audit:trace', 'ledger:append', 'lockdown:write'];

test(`decide, permits and explain agree with the reference on ${pairs} random pairs`, async () => {
  const seen: Record<string, number> = {};
  for (let pair = 0; pair < pairs; pair += identitiesPerPolicy) {
    const random = seeded(seed + pair);
    const world = randomWorld(random);
    const { policy, faults } = await compilePolicy({ ...world.config, stores: ['s1', 's2'] }, shapes);
    expect(
      faults.filter(({ warning }) => !warning),
      `seed ${seed}, pair ${pair}`,
    ).toEqual([]);
    for (let at = 0; at < identitiesPerPolicy; at++) {
      const identity = randomIdentity(random, world);
      const lockdowns = randomLockdowns(random);
      const context = `seed ${seed}, pair ${pair + at}`;
      for (const credential of ['a', 'b', 'c', 'A', 'list', '__proto__']) {
        const expected = referenceDecide(world, identity, credential, lockdowns, now);
        const decided = policy?.decide(identity, credential, lockdowns, now) as Decision;
        expect(answerOf(decided), context).toEqual(expected);
        const explained = policy?.explain(identity, credential, lockdowns, now);
        expect(explained, context).toEqual(referenceExplain(world, identity, credential, lockdowns, now));
        count(seen, expected.allow ? 'allow' : `${expected.reason}`);
        if (explained?.nearest.some(({ member }) => member === 'when')) count(seen, 'when');
        if (explained?.nearest.some(({ member }) => member === 'event')) count(seen, 'event');
        if (explained?.nearest.some(({ member }) => member === 'sealTo')) count(seen, 'sealTo');
      }
      for (const permission of permissions) {
        const decided = policy?.permits(identity, permission, lockdowns, now) as Decision;
        expect(answerOf(decided), context).toEqual(referencePermits(world, identity, permission, lockdowns, now));
      }
    }
  }
  for (const outcome of ['allow', 'no_grant', 'no_credential', 'lockdown', 'when', 'event', 'sealTo']) {
    expect(seen[outcome], `${outcome} must be met often for the comparison to mean anything`).toBeGreaterThan(
      pairs / 50,
    );
  }
});

function answerOf(decision: Decision): Answer {
  if (!decision.allow) return { allow: false, reason: decision.reason };
  const { ttl, maxTtl, once, tokenLife, claims, sealTo } = decision.terms;
  const role = decision.role?.name;
  return { allow: true, grant: decision.grant, role, ttl, maxTtl, once, tokenLife, claims: [...claims], sealTo };
}

function count(seen: Record<string, number>, outcome: string): void {
  seen[outcome] = (seen[outcome] ?? 0) + 1;
}
