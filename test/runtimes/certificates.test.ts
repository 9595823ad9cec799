import { createPublicKey, X509Certificate } from 'node:crypto';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { expect, it } from 'vitest';
import { bundles } from '../../scripts/bundles.mjs';
import { makeKey } from '../../src/credentials/ssh/private-key.ts';
import { type PublicKey, publicLine } from '../../src/credentials/ssh/public-key.ts';
import { newUlid } from '../../src/lib/ulid.ts';
import { makeAuthority, makeRequest } from '../credentials/authority.ts';
import { isSignedBy, lineOf, makeSshAuthority, readCertificate } from '../credentials/ssh-keys.ts';
import { repository } from '../support/server.ts';

/** Drafts, checks and signs one credential of each config that it is sent. */
const worker = `
import * as s from './src/lib/schema/index.ts';
import { ssh } from './src/credentials/ssh.ts';
import { x509 } from './src/credentials/x509.ts';
import { Secret } from './src/lib/secret.ts';

export default { async fetch(request) {
  const answers = [];
  for (const { entry, key, issue } of await request.json()) {
    const plugIn = entry.kind === 'ssh' ? ssh : x509;
    const config = s.parse(plugIn.schema, entry);
    const faults = plugIn.check(config);
    const deps = {
      now: Date.now,
      random: (bytes) => crypto.getRandomValues(new Uint8Array(bytes)),
      read: async ({ store }) => ({ value: new Secret(key), version: '1', store }),
    };
    const credential = (await plugIn.load()).open(config, deps);
    const { mint, finish } = await credential.draft(issue);
    const lease = { expiresAt: new Date(issue.expiresAt).toISOString(), ttl: issue.ttl };
    credential.check(mint, { issuance: issue.id, time: issue.now, lease, identity: issue.identity });
    answers.push({ faults, mint, data: finish(await credential.sign(mint, {})).data });
  }
  return Response.json(answers);
} };`;

const keyOf = ({ jwk }: PublicKey) => createPublicKey({ key: jwk, format: 'jwk' });

it('signs in workerd what it signs in Node', async () => {
  const { outputFiles } = await build({
    ...bundles.worker('dist', { file: 'none', text: '{}' }),
    entryPoints: undefined,
    stdin: { contents: worker, resolveDir: repository, sourcefile: 'certificates.ts', loader: 'ts' },
    splitting: false,
    plugins: [],
    write: false as const,
  });
  const workerd = new Miniflare({
    host: '127.0.0.1',
    modules: [{ type: 'ESModule', path: 'worker.js', contents: outputFiles?.[0]?.text ?? '' }],
    compatibilityDate: '2026-04-01',
    compatibilityFlags: ['nodejs_compat'],
  });
  try {
    const now = Date.now();
    const issue = (more = {}) => ({
      id: newUlid(now, (bytes) => crypto.getRandomValues(new Uint8Array(bytes))),
      identity: { issuer: 'ci', subject: 'a' },
      now,
      ttl: 300,
      expiresAt: (Math.floor(now / 1000) + 300) * 1000,
      ...more,
    });
    const key = { store: 'vault', name: 'ca' };
    const requests = (['P-256', 'P-384', 'Ed25519', 'RSA-2048'] as const).map((name) => makeRequest(name));
    const roots = (['P-256', 'Ed25519'] as const).map((name) => makeAuthority({ key: name }));
    const made = makeKey((bytes) => crypto.getRandomValues(new Uint8Array(bytes)));
    const ours = { key: made.pem, publicKey: publicLine(made.publicKey), public: keyOf(made.publicKey) };
    const cas = [makeSshAuthority('P-256'), makeSshAuthority('Ed25519'), ours];
    const calls = [
      ...roots.flatMap((root) =>
        [...requests.map(({ csr }) => ({ csr })), {}, { keys: 'Ed25519' }].map(
          ({ keys, ...brought }: { keys?: string; csr?: string }) => ({
            entry: {
              kind: 'x509',
              key,
              certificate: root.certificate,
              uri: 'spiffe://acme.example/{{ issuer }}',
              ...(keys && { keys }),
            },
            key: root.key,
            issue: issue(brought),
          }),
        ),
      ),
      ...cas.flatMap((ca) =>
        [...requests.filter((_, at) => at !== 1).map(({ pair }) => ({ publicKey: lineOf(pair.publicKey) })), {}].map(
          (brought) => ({
            entry: { kind: 'ssh', key, publicKey: ca.publicKey, principals: ['{{ issuer }}'] },
            key: ca.key,
            issue: issue(brought),
          }),
        ),
      ),
    ];
    const response = await workerd.dispatchFetch('http://worker/', { method: 'POST', body: JSON.stringify(calls) });
    const answers = (await response.json()) as { faults: unknown[]; data: Record<string, string> }[];
    expect(answers).toHaveLength(calls.length);
    for (const [at, { faults, data }] of answers.entries()) {
      expect(faults).toEqual([]);
      const call = calls[at] as (typeof calls)[number];
      const certificate = data.certificate as string;
      if (call.entry.kind === 'x509') {
        const root = roots.find((one) => one.key === call.key);
        expect(new X509Certificate(certificate).verify(new X509Certificate(root?.certificate ?? '').publicKey)).toBe(
          true,
        );
      } else {
        const ca = cas.find((one) => one.key === call.key) as (typeof cas)[number];
        expect(isSignedBy(readCertificate(certificate), ca.public)).toBe(true);
      }
    }
  } finally {
    await workerd.dispose();
  }
});
