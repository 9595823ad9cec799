import fc from 'fast-check';
import { importJWK, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import type { Identity } from '../../src/lib/identity.ts';
import {
  audience,
  encode,
  genericIssuer,
  goodClaims,
  issuerUrl,
  makeKey,
  nowSeconds,
  outcome,
  signText,
  type TestKey,
  verifierOf,
} from './issuer.ts';

const keys = (['RS256', 'ES256', 'ES384', 'EdDSA'] as const).map((alg) => makeKey(alg, alg));
const verifier = verifierOf({ any: genericIssuer(...keys) });
const runs = Number(process.env.HALLPASS_RUNS ?? 500);

/** jose, asked for everything it can be asked for; undefined when it refuses. */
async function joseAccepts(token: string): Promise<unknown> {
  try {
    const verified = await jwtVerify(
      token,
      async ({ kid, alg }) => {
        const key = keys.find((one) => one.kid === kid);
        if (key === undefined) throw new Error('unknown kid');
        return importJWK(key.jwk, alg);
      },
      {
        issuer: issuerUrl,
        audience,
        algorithms: ['RS256', 'ES256', 'ES384', 'EdDSA'],
        requiredClaims: ['exp', 'iat', 'sub'],
        clockTolerance: 60,
        currentDate: new Date(nowSeconds * 1000),
      },
    );
    return verified.payload;
  } catch {
    return undefined;
  }
}

const odd = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.integer(), fc.double(), fc.string({ unit: 'binary' }));
const instant = fc.oneof(fc.integer({ min: nowSeconds - 5_000, max: nowSeconds + 5_000 }), odd);
const claim = (value: unknown, weight = 8) =>
  fc.oneof({ weight, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: odd });
const claims = fc.record(
  {
    iss: claim(issuerUrl),
    sub: claim('checkout'),
    aud: fc.oneof(claim(audience), fc.array(claim(audience), { maxLength: 3 })),
    exp: fc.oneof({ weight: 4, arbitrary: fc.constant(nowSeconds + 600) }, { weight: 1, arbitrary: instant }),
    iat: fc.oneof({ weight: 4, arbitrary: fc.constant(nowSeconds - 1) }, { weight: 1, arbitrary: instant }),
    nbf: fc.oneof({ weight: 4, arbitrary: fc.constant(nowSeconds - 1) }, { weight: 1, arbitrary: instant }),
    jti: fc.oneof(fc.string(), odd),
    extra: odd,
  },
  { requiredKeys: ['iss', 'sub', 'aud', 'exp', 'iat'] },
);
const headerOf = (key: TestKey) =>
  fc
    .record(
      {
        alg: claim(key.alg, 30),
        kid: claim(key.kid, 30),
        typ: claim('JWT', 10),
        x5t: claim('x', 10),
        crit: odd,
        b64: fc.boolean(),
      },
      { requiredKeys: ['alg', 'kid'], noNullPrototype: true },
    )
    .map(({ crit, b64, ...header }) =>
      crit !== undefined && JSON.stringify(crit)?.length === 3 ? { ...header, crit, b64 } : header,
    );

/** Sometimes breaks the text of a token: one character changed, cut, doubled or added. */
const change = fc.constantFrom('', '.', '=', ' ', 'A', '_', '\n', '\u0000');
const damage = fc.oneof(
  { weight: 3, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.record({ at: fc.nat(4_000), text: change }) },
);
const tokens = fc
  .record({ key: fc.constantFrom(...keys), signer: fc.constantFrom(...keys, undefined), damage })
  .chain(({ key, signer, damage }) =>
    fc.record({ header: headerOf(key), claims }).map(({ header, claims }) => {
      const token = signText(
        signer !== undefined && signer !== key && damage !== null ? signer : key,
        `${encode(header)}.${encode(claims)}`,
      );
      if (damage === null) return token;
      const at = damage.at % token.length;
      return token.slice(0, at) + damage.text + token.slice(at + 1);
    }),
  );

test('whatever the shell accepts jose accepts, with the same claims', async () => {
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(tokens, async (token) => {
      const ours = await outcome(verifier, token);
      if (typeof ours === 'string') return;
      accepted++;
      expect(ours.claims).toEqual(await joseAccepts(token));
    }),
    { numRuns: runs },
  );
  expect(accepted).toBeGreaterThan(runs / 20);
});

test('two different tokens never share a result, and one token always has the same', async () => {
  const subject = fc.stringMatching(/^[a-z0-9:/*%@_-]{1,40}$/);
  const pair = fc.record({
    sub: subject,
    jti: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    note: fc.nat(3),
  });
  await fc.assert(
    fc.asyncProperty(pair, pair, fc.constantFrom(...keys.slice(1)), async (a, b, key) => {
      const tokenOf = (claims: object) =>
        signText(key, `${encode({ alg: key.alg, kid: key.kid })}.${encode(goodClaims({ ...claims }))}`);
      const [one, other, again] = (await Promise.all(
        [a, b, a].map((claims) => outcome(verifier, tokenOf(claims))),
      )) as [Identity, Identity, Identity];
      expect(one).toMatchObject({ subject: a.sub });
      expect(other).toMatchObject({ subject: b.sub });
      expect(again).toEqual(one);
      expect(one.name === other.name).toBe(a.sub === b.sub);
      const same =
        a.jti === undefined || b.jti === undefined ? JSON.stringify(a) === JSON.stringify(b) : a.jti === b.jti;
      expect(one.token === other.token).toBe(same);
    }),
    { numRuns: Math.ceil(runs / 4) },
  );
});
