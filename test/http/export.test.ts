import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Broker } from '../../src/broker.ts';
import { runCommand } from '../../src/cli/program.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { fakeTerminal } from '../cli/fake-terminal.ts';
import { clockAt, scribe, soon } from '../ledger/fixtures.ts';
import { type OpenBroker, openBroker } from '../support/broker.ts';
import { audience, embeddedConfig } from '../support/config.ts';
import { testIssuer } from '../support/issuer.ts';
import { temporaryFolder } from '../support/server.ts';

const issuer = testIssuer('https://issuer.test', audience);
const page = 250;
const pages = 6;
const name = (subject: string) => `ci:${encodeURIComponent(subject)}`;
const grant = (subject: string, role: string) => ({ name: role, identity: { issuer: 'ci', subject }, may: [role] });

let place: ReturnType<typeof temporaryFolder>;
let broker: OpenBroker;
const lines: unknown[] = [];
let later = 0;

beforeAll(async () => {
  place = temporaryFolder();
  const policy = {
    stores: { here: { kind: 'env', prefix: 'TEST_SECRET_' } },
    roles: { auditor: { audit: 'read' }, 'on-call': { lockdown: 'write' } },
    grants: [grant('svc:auditor', 'auditor'), grant('svc:on-call', 'on-call')],
  };
  broker = await openBroker(embeddedConfig(place.folder, issuer, policy), place.folder, {
    now: () => Date.now() + later,
    log: (_, event, facts) => void lines.push([event, facts?.reason, facts?.count]),
  });
  const write = scribe(clockAt(Date.now()), { name: audience, instance: 'test', version: '0' });
  for (let part = 0; part < pages; part++) {
    const entries = Array.from({ length: page }, () => write.issuance(write.id()));
    await broker.deployment.ledger.append({ entries, epoch: 0, policy: `sha256:${'p'.repeat(43)}` }, soon());
  }
});
afterAll(async () => {
  await broker.deployment.close();
  place.remove();
});

const call = (sub: string, path: string, method = 'GET', body?: object) =>
  broker.send(path, {
    method,
    headers: { authorization: `Bearer ${issuer.token({ sub })}`, ...(body && { 'content-type': 'application/json' }) },
    ...(body && { body: JSON.stringify(body) }),
  });

/** While it lasts the auditor is locked out. */
async function lockOut(): Promise<() => Promise<void>> {
  const asked = { match: { identity: name('svc:auditor') }, reason: 'has left' };
  const made = await call('svc:on-call', '/v1/lockdowns', 'POST', asked);
  expect(made.status).toBe(201);
  const { id } = (await made.json()).lockdown;
  return async () => expect((await call('svc:on-call', `/v1/lockdowns/${id}`, 'DELETE')).status).toBe(200);
}

test('an export ends, cut, once a lockdown stops who asked for it, and a denial says so', async () => {
  const reader = (await call('svc:auditor', '/v1/issuances?format=ndjson')).body?.getReader();
  const read = async () =>
    Buffer.from((await reader?.read())?.value as Uint8Array)
      .toString()
      .split('\n').length - 1;
  expect(await read()).toBe(page);
  const lift = await lockOut();
  // One page may wait to be read already.
  expect(await read()).toBe(page);
  await expect(read()).rejects.toThrow('lockdown');
  expect(lines).toContainEqual(['export_cut', 'lockdown', 2 * page]);
  const denials = await broker.deployment.ledger.reader?.list({ type: 'denial', limit: 1 }, soon());
  expect(JSON.parse(denials?.[0]?.record ?? '{}')).toMatchObject({ reason: 'lockdown', identity: { issuer: 'ci' } });
  await lift();
});

test('issuances export of who is locked out on the way ends with 69, and says that its answer was cut', async () => {
  let lift: (() => Promise<void>) | undefined;
  const env = { HALLPASS_URL: 'http://127.0.0.1:1', HALLPASS_TOKEN: issuer.token({ sub: 'svc:auditor' }) };
  const fetch: Terminal['fetch'] = (url, init) => broker.send(url.slice('http://127.0.0.1:1'.length), init);
  const outTaken = async () => {
    lift ??= await lockOut();
  };
  const terminal = fakeTerminal({ env, fetch, outTaken });
  expect(await runCommand(['issuances', 'export'], terminal)).toBe(69);
  expect(terminal.said.err).toContain('(cut)');
  const told = terminal.said.out.split('\n').length - 1;
  expect([page, 2 * page]).toContain(told);
  await lift?.();
});

test('an export goes on after its token is over, as long as nobody stops who asked', async () => {
  const held = broker.deployment.broker as { permitOn: Broker['permitOn'] };
  const { permitOn } = held;
  held.permitOn = (...given) => {
    later += 3_600_000;
    return permitOn(...given);
  };
  try {
    const answer = await call('svc:auditor', '/v1/issuances?format=ndjson');
    expect((await answer.text()).split('\n')).toHaveLength(pages * page + 1);
    expect(later).toBeGreaterThan(0);
  } finally {
    held.permitOn = permitOn;
  }
});
