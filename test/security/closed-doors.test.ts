import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operationWords } from '../../src/http/openapi-words.ts';
import { type Operation, type Route, routes } from '../../src/http/routes.ts';
import { newUlid } from '../../src/lib/ulid.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

// Every route there is, against everybody who has no business there: a new one is closed until it is named here.

const open: ReadonlySet<string> = new Set([
  'showLogKey',
  'showLogKeyOf',
  'showBrokerDiscovery',
  'showBrokerKeys',
  'showWorkloadsDiscovery',
  'showWorkloadsKeys',
  'showAuthorizationServer',
  'showHealth',
  'showReadiness',
  'showOpenApi',
]);
const closed = Object.entries<Route>(routes).filter(([name]) => !open.has(name));
/** What a form has instead of a header. */
const byForm = closed.filter(([, { refuses }]) => refuses === 'oauth');
const byHeader = closed.filter(([, { refuses }]) => refuses !== 'oauth');

/** Every right that a role can give, as the OpenAPI document names it, and the role with that right alone. */
const rights: Readonly<Record<string, object>> = {
  'audit: read': { audit: 'read' },
  'audit: trace': { audit: 'trace' },
  'audit: erase': { audit: 'erase' },
  'ledger: append': { ledger: 'append', writer: 'https://edge.test' },
  'ledger: follow': { ledger: 'follow' },
  'ledger: roll': { ledger: 'roll' },
  'leases: revoke': { leases: 'revoke' },
  'secrets: rotate': { secrets: 'rotate' },
  'lockdown: write': { lockdown: 'write' },
};
const holderOf = (right: string) => right.replace(': ', '-');
const needed = (name: string): string => operationWords[name as Operation].needs;
const byRight = byHeader.filter(([name]) => needed(name) !== 'token');

/** The embedded config, and a role with each right for somebody of its name. */
function configOf() {
  const config = embeddedConfig(folder, issuer) as { roles: object; grants: object[] };
  const roles = Object.fromEntries(Object.entries(rights).map(([right, role]) => [holderOf(right), role]));
  const grants = Object.keys(roles).map((name) => ({
    name,
    identity: { issuer: 'ci', subject: `svc:${name}` },
    may: [name],
  }));
  return { ...config, roles: { ...config.roles, ...roles }, grants: [...config.grants, ...grants] };
}

const { folder, remove } = temporaryFolder();
const issuer = testIssuer('https://issuer.test', 'https://pass.test');
/** Signs as well as ours does, and nobody trusts it. */
const stranger = testIssuer('https://issuer.test', 'https://pass.test');
let broker: OpenBroker;

beforeAll(async () => {
  broker = await openBroker(configOf(), folder);
});
afterAll(async () => {
  await broker.deployment.close();
  remove();
});

/** What a route asks of its query, and of a body that says what is asked for. */
const queries: Readonly<Record<string, string>> = {
  listLeases: '?state=unrevoked',
  listPending: '?state=open',
  showSuccession: '?after=0',
  followLog: '?after=0&name=standby',
};
const bodies: Readonly<Record<string, string>> = { issueCredentials: '{"names":["stripe-key"]}' };

const pathOf = (path: string) =>
  path
    .replace('{name}', 'stripe-key')
    .replace(
      '{id}',
      newUlid(Date.now(), (bytes) => new Uint8Array(bytes)),
    )
    .replace('{tile}', '0/000')
    .replace('{log}', '1');
async function ask(name: string, { method, path }: Route, headers: Record<string, string>, body = bodies[name]) {
  const { ledger } = broker.deployment;
  // The one log stands for each of two shards where a path names one.
  Object.assign(ledger, { shards: path.includes('{log}') ? [ledger, ledger] : undefined });
  return broker.send(`${pathOf(path)}${queries[name] ?? ''}`, {
    method,
    headers: body?.startsWith('{') ? { ...headers, 'content-type': 'application/json' } : headers,
    ...(body === undefined ? {} : { body }),
  });
}

describe('a route opens to nobody', () => {
  it.each(byHeader)('without a token: %s', async (name, route) => {
    const response = await ask(name, route, {});
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([401, 'token_missing']);
  });

  it.each(byHeader)('with another’s signature: %s', async (name, route) => {
    const authorization = `Bearer ${stranger.token({ sub: 'svc:auditor' })}`;
    const response = await ask(name, route, { authorization });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([401, 'token_invalid']);
  });

  it.each(byHeader)('that no grant names: %s', async (name, route) => {
    const response = await ask(name, route, { authorization: `Bearer ${issuer.token({ sub: 'svc:nobody' })}` });
    const said = (await response.json()) as { code?: string; decision?: string };
    // Anybody known may ask what is granted to themselves.
    if (name === 'explainDecision') expect(said.decision).toBe('deny');
    // A lease of somebody else’s is not there.
    else expect([`403 denied`, `404 not_found`]).toContain(`${response.status} ${said.code}`);
  });

  it.each(byRight)('whose right is another: %s', async (name, route) => {
    expect(Object.keys(rights)).toContain(needed(name));
    for (const right of ['checkout', ...Object.keys(rights)].filter((one) => one !== needed(name))) {
      const authorization = `Bearer ${issuer.token({ sub: `svc:${holderOf(right)}` })}`;
      const response = await ask(name, route, { authorization });
      const { code } = (await response.json()) as { code?: string };
      expect(`${response.status} ${code}`, `with ${right}`).toBe('403 denied');
    }
    // It waits for what comes next, and the next ones would be asked of another log.
    if (name === 'followLog' || name === 'rollLog') return;
    const authorization = `Bearer ${issuer.token({ sub: `svc:${holderOf(needed(name))}` })}`;
    const { status } = await ask(name, route, { authorization });
    expect([401, 403]).not.toContain(status);
  });

  it.each(byForm)('by a form without a good token: %s', async (name, route) => {
    for (const token of [undefined, stranger.token({ sub: 'svc:checkout' }), issuer.token({ sub: 'svc:nobody' })]) {
      const form = new URLSearchParams({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
        audience: 'partner',
        ...(token === undefined ? {} : { subject_token: token }),
      });
      const response = await ask(name, route, { 'content-type': 'application/x-www-form-urlencoded' }, form.toString());
      expect(response.status).toBe(400);
      expect(Object.keys((await response.json()) as object)).not.toContain('access_token');
    }
  });
});
