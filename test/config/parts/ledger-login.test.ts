import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import type { Config } from '../../../src/config/config.ts';
import { ledgerLogin } from '../../../src/config/parts/ledger-login.ts';
import type { LiveRing } from '../../../src/keys/live-ring.ts';
import { deadlineIn } from '../../../src/lib/deadline.ts';
import type { Platform } from '../../../src/lib/platform.ts';

const ledger = { kind: 'http', url: 'https://ledger.example.com' };
const config = { broker: { url: 'https://pass.example.com' }, ledger } as unknown as Config;

/** A broker with one key, which signs as it is told to. */
function rig() {
  const world = { now: 1_000_000_000, signed: 0, sign: async () => {} };
  const key = {
    kid: 'k',
    alg: 'ES256',
    async sign() {
      world.signed++;
      await world.sign();
      return new Uint8Array(64);
    },
  };
  const ring = { assertions: [key], renew: async () => {} } as unknown as LiveRing;
  const now = () => world.now;
  const login = ledgerLogin(config, ring, { now, random: randomBytes, env: {} } as unknown as Platform);
  return { world, login: (ms = 2_000) => login(deadlineIn(ms, now)) };
}

it('signs one assertion for all who ask at once, and the next after two thirds of its life', async () => {
  const { world, login } = rig();
  const tokens = await Promise.all(Array.from({ length: 1_000 }, () => login()));
  world.now += 39_999;
  expect([new Set([...tokens, await login()]).size, world.signed]).toEqual([1, 1]);
  const [, claims] = (tokens[0] as string).split('.') as [string, string];
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
    iss: 'https://pass.example.com',
    sub: 'broker',
    aud: 'https://ledger.example.com',
    iat: 1_000_000,
    exp: 1_000_060,
  });
  world.now += 1;
  expect(await login()).not.toBe(tokens[0]);
});

it('goes on with the assertion that lives while the key cannot sign', async () => {
  const { world, login } = rig();
  const token = await login();
  world.sign = () => Promise.reject(new Error('down'));
  world.now += 45_000;
  expect(await login()).toBe(token);
});

it('is not held up for long by a request that ended while it signed', async () => {
  const { world, login } = rig();
  world.sign = () => new Promise(() => {});
  await expect(login(20)).rejects.toMatchObject({ fault: 'slow' });
  world.sign = async () => {};
  world.now += 9_000;
  expect(await login()).toMatch(/^ey/);
});
