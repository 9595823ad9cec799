import { describe, expect, test } from 'vitest';
import { readCompact } from '../../src/identity/compact.ts';
import { readKeySet } from '../../src/identity/jwk.ts';
import { signatureCheck } from '../../src/identity/signature.ts';
import { readVectors, vectorsAbsent } from './vectors.ts';

interface Vector {
  readonly tcId: number;
  readonly comment: string;
  readonly result: 'valid' | 'invalid' | 'acceptable';
  readonly jws: unknown;
}
interface Group {
  readonly comment: string;
  readonly public?: Record<string, unknown>;
  readonly private?: Record<string, unknown>;
  readonly tests: readonly Vector[];
}
interface File {
  readonly testGroups: readonly Group[];
}

/** Key rules, compact form, header rules and signature, as a token meets them; the payload here is no claim set. */
function accepts(keys: readonly unknown[], jws: unknown, check = signatureCheck('node')): boolean {
  if (typeof jws !== 'string') return false;
  try {
    const [header, payload, signature, ...more] = jws.split('.');
    if (more.length > 0) return false;
    // The shell parses the payload for its `iss`; these payloads are plain text, so a JSON one stands in for that step.
    const token = readCompact(`${header}.e30.${signature}`, 16_384);
    if (payload === undefined || Buffer.from(payload, 'base64url').toString('base64url') !== payload) return false;
    const key = readKeySet(keys).keys.get(token.kid ?? '');
    return (
      key !== undefined &&
      key.alg === token.alg &&
      check(key.alg, key.key, Buffer.from(`${header}.${payload}`), token.signature)
    );
  } catch {
    return false;
  }
}

// Valid by the RFCs and refused on purpose; everything else that is valid must verify.
function onPurpose(key: Record<string, unknown>): string | undefined {
  if (key.kty === 'oct') return 'symmetric algorithms do not exist here';
  if (/^(PS|RS384|RS512|ES512|ES521)/.test(String(key.alg))) return 'not one of RS256, ES256, ES384, EdDSA';
  return undefined;
}

const keysOf = (group: Group): Record<string, unknown>[] => {
  const key = (group.public ?? group.private) as { keys?: Record<string, unknown>[] } & Record<string, unknown>;
  return key.keys ?? [key];
};

describe.skipIf(vectorsAbsent)('Wycheproof', () => {
  for (const file of ['json_web_signature_test.json', 'json_web_key_test.json']) {
    for (const runtime of ['node', 'workerd'] as const) {
      test(`${file} as checked on ${runtime}: nothing invalid is accepted, everything valid but what we refuse on purpose verifies`, () => {
        const wrong: string[] = [];
        let verified = 0;
        for (const group of readVectors<File>(`wycheproof/${file}`).testGroups) {
          const keys = keysOf(group);
          for (const { tcId, comment, result, jws } of group.tests) {
            const accepted = accepts(keys, jws, signatureCheck(runtime));
            const expected = result === 'valid' && keys.every((key) => onPurpose(key) === undefined);
            if (accepted !== expected)
              wrong.push(`${tcId} ${group.comment} ${comment}: ${result}, accepted ${accepted}`);
            if (accepted) verified++;
          }
        }
        expect(wrong).toEqual([]);
        expect(verified).toBeGreaterThan(0);
      });
    }
  }
});
