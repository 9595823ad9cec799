import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deriveSecrets } from '../../src/keys/derive.ts';
import { openHandles } from '../../src/leases/handle.ts';
import { freePort } from '../support/free-port.ts';
import { type RunningServer, startServer, temporaryFolder, writeConfig } from '../support/server.ts';
import { startLambda } from './lambda-runner.ts';
import { audience, configFor, issuer, type Send, variables } from './scenario.ts';
import { startWorkerd } from './workerd-runner.ts';

// One broker on three runtimes, its ledger elsewhere: nothing is shared but the config, broker.secret and the ledger.

const { folder, remove } = temporaryFolder();
const signer = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const [old, fresh, foreign] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const environment = {
  ...variables,
  HALLPASS_SECRET_SIGNER: JSON.stringify(signer.privateKey.export({ format: 'jwk' })),
  HALLPASS_SECRET_OLD: old.toString('base64'),
  HALLPASS_SECRET_NEW: fresh.toString('base64'),
};
const ref = (name: string) => ({ store: 'here', name });

const instances = {} as Record<'node' | 'lambda' | 'workerd' | 'rotated', Send>;
const ends: (() => unknown)[] = [remove];
const started = <T>(one: T, end: (one: T) => unknown): T => {
  ends.push(() => end(one));
  return one;
};

beforeAll(async () => {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const file = writeConfig(folder, centralConfig(url), 'central.json');
  started(await startServer(file, port), (server: RunningServer) => server.stop());
  const key = (await (await fetch(`${url}/v1/log/key`)).text()).trim();
  const configWith = (...secret: object[]) =>
    configFor({
      ledger: { kind: 'http', url, key },
      signer: { kind: 'local', key: ref('SIGNER') },
      more: { broker: { url: audience, signer: { kind: 'local', key: ref('SIGNER') }, secret } },
    });
  const same = configWith(ref('OLD'));
  const serve = async (config: object, name: string): Promise<Send> => {
    const server = await startServer(writeConfig(folder, config, name), 0, [], environment);
    started(server, () => server.stop());
    return (path, init) => fetch(`${server.url}${path}`, init);
  };
  instances.node = await serve(same, 'node.json');
  instances.rotated = await serve(configWith(ref('NEW'), ref('OLD')), 'rotated.json');
  const lambda = startLambda({ ...environment, HALLPASS_CONFIG: JSON.stringify(same) });
  instances.lambda = started(lambda, () => lambda.end()).send;
  const workerd = await startWorkerd({ config: same, variables: environment, folder });
  instances.workerd = started(workerd, () => workerd.end()).send;
}, 60_000);
afterAll(async () => {
  for (const end of ends.reverse()) await end();
});

const as = (subject: string) => ({ authorization: `Bearer ${issuer.token({ sub: subject })}` });
const caller = () => as('svc:checkout');

interface Issued {
  readonly id: string;
  readonly lease: { readonly handle: string };
}
async function issue(at: keyof typeof instances = 'node'): Promise<Issued> {
  const response = await instances[at]('/v1/credentials/stripe-key', { method: 'POST', headers: caller() });
  expect(response.status, await response.clone().text()).toBe(200);
  return (await response.json()) as Issued;
}
const stateOf = async (id: string) => {
  const view = await (await instances.node(`/v1/leases/${id}`, { headers: caller() })).json();
  return (view as { lease: { state: string } }).lease.state;
};
const showing = (handle: string) => ({ 'hallpass-lease': handle });

describe('a lease from one instance is revoked', () => {
  it.each(['lambda', 'workerd', 'rotated'] as const)('by its id, by its handle and by both: %s', async (where) => {
    const ways = [
      ({ id }: Issued) => ({ path: id, headers: caller() }),
      ({ lease }: Issued) => ({ path: 'self', headers: showing(lease.handle) }),
      ({ id, lease }: Issued) => ({ path: id, headers: showing(lease.handle) }),
    ];
    for (const way of ways) {
      const issued = await issue();
      const { path, headers } = way(issued);
      expect(await stateOf(issued.id)).toBe('active');
      const shown = await instances[where](`/v1/leases/${path}`, { headers });
      expect(await shown.json()).toMatchObject({ id: issued.id, lease: { state: 'active' } });
      for (let time = 0; time < 2; time++)
        expect((await instances[where](`/v1/leases/${path}`, { method: 'DELETE', headers })).status).toBe(204);
      expect(await stateOf(issued.id)).toBe('revoked');
    }
  });

  it('by its id where only a newer secret opens its handle', async () => {
    const { id, lease } = await issue('rotated');
    const byHandle = { method: 'DELETE', headers: showing(lease.handle) };
    expect((await instances.node('/v1/leases/self', byHandle)).status).toBe(404);
    expect(await stateOf(id)).toBe('active');
    expect((await instances.node(`/v1/leases/${id}`, { method: 'DELETE', headers: caller() })).status).toBe(204);
  });
});

/** The handle as a tenant with another secret, who knows all of the lease, would make it. */
function foreignHandle({ id }: Issued): string {
  const { handle, identity } = deriveSecrets(foreign);
  const about = { id, kind: 'secret', credential: 'stripe-key', expiresAt: Date.now() + 600_000, holder: 'x' };
  return openHandles([{ handle, identity }], randomBytes).seal(about);
}
const changed = (handle: string, at: number) => {
  const bytes = Buffer.from(handle.slice(4), 'base64url');
  bytes[at < 0 ? bytes.length + at : at] = (bytes.at(at) as number) ^ 1;
  return `hpl_${bytes.toString('base64url')}`;
};

describe.each(['node', 'lambda', 'workerd', 'rotated'] as const)('%s says 404 to', (where) => {
  const refused = async () => {
    const text = await (await instances[where]('/metrics', { headers: as('svc:auditor') })).text();
    const counts = [...text.matchAll(/^hallpass_handles_refused_total\{[^}]*\} (\d+)$/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };

  it.each<readonly [string, (issued: Issued) => string | Promise<string>]>([
    ['a forged handle', ({ lease }) => changed(lease.handle, -1)],
    ['one whose key id is another', ({ lease }) => changed(lease.handle, 2)],
    ['one whose first bytes are changed', ({ lease }) => changed(lease.handle, 20)],
    ['a cut one', ({ lease }) => lease.handle.slice(0, -2)],
    ['next to nothing of one', () => 'hpl_'],
    ['one of another tenant', foreignHandle],
    ['one of another lease', async () => (await issue()).lease.handle],
  ])('%s, does nothing, and counts it', async (_, make) => {
    const issued = await issue();
    const handle = await make(issued);
    const before = await refused();
    for (const method of ['GET', 'DELETE']) {
      const answer = await instances[where](`/v1/leases/${issued.id}`, { method, headers: showing(handle) });
      expect(answer.status).toBe(404);
      expect(await answer.json()).toMatchObject({ code: 'not_found' });
    }
    expect((await refused()) - before).toBe(2);
    expect(await stateOf(issued.id)).toBe('active');
  });

  it('one of a lease that is over, and counts it', async () => {
    const { id, lease } = await issue();
    await instances.node(`/v1/leases/${id}`, { method: 'DELETE', headers: caller() });
    const before = await refused();
    for (const path of [id, 'self'])
      expect((await instances[where](`/v1/leases/${path}`, { headers: showing(lease.handle) })).status).toBe(404);
    expect((await refused()) - before).toBe(2);
  });
});

/** The central ledger: it knows the broker, and who may read. */
function centralConfig(url: string): object {
  const jwk = { ...signer.publicKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
  return {
    broker: { url, audience, signer: { kind: 'local', path: 'keys' } },
    ledger: { kind: 'sqlite', path: 'ledger.db' },
    issuers: { edge: { issuer: audience, audience: url, jwks: { keys: [jwk] } } },
    credentials: { partner: { kind: 'jwt', audience: 'https://api.partner.example', ttl: '5m' } },
    roles: { writer: { ledger: 'append', mint: ['partner'] } },
    grants: [{ name: 'edge', identity: { issuer: 'edge', subject: 'broker' }, may: ['writer'] }],
  };
}
