// Decision time at 1 and 100,000 grants: one identity asked over and over, and 1,000 identities in turn.

import type { Identity } from '../src/lib/identity.ts';
import { compilePolicy } from '../src/policy/compile.ts';
import { summary } from './median.mjs';

const shape = { preset: 'generic', generic: true, members: {} };

async function policyOf(grants: number) {
  const input = {
    issuers: { ci: { issuer: 'https://issuer.test' } },
    credentials: { 'stripe-key': { kind: 'secret', store: 'here', name: 'stripe' } },
    grants: Array.from({ length: grants }, (_, n) => ({
      name: `g${n}`,
      identity: { issuer: 'ci', subject: `svc:${n}` },
      may: ['stripe-key'],
      ttl: '10m',
    })),
  };
  const { policy, faults } = await compilePolicy(input, { ci: shape });
  if (policy === undefined) throw new Error(JSON.stringify(faults[0]));
  return policy;
}

const identityOf = (n: number): Identity => ({
  issuer: 'ci',
  iss: 'https://issuer.test',
  subject: `svc:${n}`,
  claims: { sub: `svc:${n}` },
  name: `ci:svc:${n}`,
  members: {},
  disclosed: {},
});

type Policy = Awaited<ReturnType<typeof policyOf>>;

/** Nanoseconds a decision. */
function time(policy: Policy, identities: readonly Identity[]): number {
  const turns = 200_000;
  const started = performance.now();
  for (let turn = 0; turn < turns; turn++) {
    const decision = policy.decide(identities[turn % identities.length] as Identity, 'stripe-key', [], 0);
    if (!decision.allow) throw new Error('denied');
  }
  return ((performance.now() - started) * 1e6) / turns;
}

const one = await policyOf(1);
const started = performance.now();
const many = await policyOf(100_000);
const compileMs = performance.now() - started;
const same = { one: [identityOf(0)], many: [identityOf(77_777)] };
const spread = Array.from({ length: 1_000 }, (_, n) => identityOf(n * 97));
const ratios: number[] = [];
const spreadRatios: number[] = [];
const nanoseconds: number[] = [];
for (let round = 0; round < 9; round++) {
  const base = time(one, same.one);
  nanoseconds.push(base);
  ratios.push(time(many, same.many) / base);
  spreadRatios.push(time(many, spread) / base);
}
console.log(
  JSON.stringify({
    compileMs: Math.round(compileMs),
    nanoseconds: summary(nanoseconds),
    ratio: summary(ratios),
    spread: summary(spreadRatios),
  }),
);
