import { createHash, generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { Runtime } from '../../src/lib/platform.ts';

const folder = new URL('../../examples/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, folder), 'utf8');

/** A verifier key as `hallpass ledger key` shows one. */
function verifierKey(name: string): string {
  const raw = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const key = Buffer.concat([Buffer.of(1), raw]);
  const hash = createHash('sha256').update(`${name}\n`).update(key).digest('hex').slice(0, 8);
  return `${name}+${hash}+${key.toString('base64')}`;
}

const env = { LEDGER_KEY: verifierKey('ledger.example.com/ledger') };
const where: Record<string, Runtime[]> = {
  'node.hallpass.yaml': ['node'],
  'ledger.hallpass.yaml': ['node'],
  'edge.hallpass.yaml': ['node', 'lambda', 'workerd'],
  'worker.hallpass.yaml': ['workerd'],
  'cross-cloud/hallpass.yaml': ['node'],
};

describe('the examples', () => {
  it('are all tried', () => {
    expect(
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('hallpass.yaml'))
        .sort(),
    ).toEqual(Object.keys(where).sort());
  });

  it.each(Object.entries(where).flatMap(([file, runtimes]) => runtimes.map((runtime) => [file, runtime] as const)))(
    '%s loads on %s without a warning',
    async (file, runtime) => {
      const options = { file, runtime, env, ...(runtime === 'workerd' ? {} : { folder: '/srv' }) };
      const { config, warnings } = await loadConfig(read(file), options);
      expect(warnings).toEqual([]);
      expect(config.policy.grants).toBeGreaterThan(0);
    },
  );

  it('edge and ledger know each other', async () => {
    const load = async (file: string) =>
      (await loadConfig(read(file), { file, runtime: 'node', env, folder: '/srv' })).config;
    const [edge, ledger] = [await load('edge.hallpass.yaml'), await load('ledger.hallpass.yaml')];
    expect(edge.ledger.url).toBe(ledger.broker.url);
    expect(edge.ledger.origin).toBe(ledger.ledger.origin);
    expect(ledger.issuers.edge?.issuer).toBe(edge.broker.url);
    expect(ledger.credentials.partner).toEqual(edge.credentials.partner);
  });
});
