import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repository, temporaryFolder } from '../support/server.ts';

const dist = join(repository, 'dist');
const audience = 'https://pass.example.workers.dev';

/** A Hallpass that knows one Worker of the account, by its binding. */
const config = {
  broker: { url: audience, signer: { kind: 'local' } },
  ledger: { kind: 'durable-object', binding: 'LEDGER' },
  issuers: { account: { kind: 'worker-binding', audience } },
  credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' } },
  roles: { checkout: ['partner'] },
  grants: [{ name: 'checkout', identity: { issuer: 'account', worker: 'checkout' }, may: ['checkout'], ttl: '5m' }],
};

describe('the Worker example in workerd', () => {
  const { folder, remove } = temporaryFolder();
  const shown: (string | null)[] = [];
  let workerd: import('miniflare').Miniflare;

  beforeAll(async () => {
    const { Miniflare } = await import('miniflare');
    const { outputFiles } = await build({
      entryPoints: [join(repository, 'examples/clients/worker.mjs')],
      bundle: true,
      format: 'esm',
      external: ['cloudflare:workers'],
      write: false,
    });
    const example = outputFiles[0]?.text as string;
    const chunks = readdirSync(join(dist, 'worker')).map((name) => join(dist, 'worker', name));
    const common = { compatibilityDate: '2026-04-01', compatibilityFlags: ['nodejs_compat'] };
    const worker = (name: string, props: object) => ({
      ...common,
      name,
      modules: [{ type: 'ESModule' as const, path: `${name}.js`, contents: example }],
      bindings: { HALLPASS_URL: audience, PARTNER_URL: 'https://api.partner.example' },
      serviceBindings: { HALLPASS: { name: 'hallpass', entrypoint: 'Workload', props } },
      // All that it reaches beside its binding.
      outboundService: (request: { url: string; headers: { get(name: string): string | null } }) => {
        shown.push(request.headers.get('authorization'));
        return new Response(`answer to ${new URL(request.url).pathname}`) as never;
      },
    });
    workerd = new Miniflare({
      host: '127.0.0.1',
      durableObjectsPersist: folder,
      workers: [
        worker('checkout', { audience, worker: 'checkout' }),
        worker('stranger', { audience, worker: 'stranger' }),
        {
          ...common,
          name: 'hallpass',
          modules: [join(dist, 'worker.js'), ...chunks].map((path) => ({ type: 'ESModule' as const, path })),
          modulesRoot: dist,
          bindings: { HALLPASS_CONFIG: JSON.stringify(config) },
          durableObjects: { LEDGER: { className: 'Ledger', useSQLite: true } },
        },
      ],
    } as never);
    await workerd.ready;
  });
  afterAll(async () => {
    await workerd?.dispose();
    remove();
  });

  const ask = async (name: string) => (await workerd.getWorker(name)).fetch('https://shop.example/');

  it('gets its credential by what its binding says of it, without a token, once for many requests', async () => {
    for (const _ of [1, 2, 3]) expect(await (await ask('checkout')).text()).toBe('answer to /orders');
    expect(shown).toHaveLength(3);
    expect(shown[0]).toMatch(/^Bearer ey/);
    expect(new Set(shown).size).toBe(1);
    const [, payload] = (shown[0] as string).split('.') as [string, string];
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({ sub: 'account:checkout' });
  });

  it('is denied as a Worker whose binding says that it is another', async () => {
    const before = shown.length;
    const answer = await ask('stranger').catch((error) => error);
    expect(String(answer instanceof Error ? answer.message : await answer.text())).toContain('403 denied');
    expect(shown.length).toBe(before);
  });
});
