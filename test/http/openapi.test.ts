import { expect, test } from 'vitest';
import { openApiDocument } from '../../src/http/openapi.ts';
import { answers, oauthError, problem } from '../../src/http/openapi-answers.ts';
import { routes } from '../../src/http/routes.ts';
import * as s from '../../src/lib/schema/index.ts';
import { bearer, exchangeParameters, fakeApp, leaseId } from './fake-deployment.ts';

interface Document {
  readonly openapi: string;
  readonly paths: Record<
    string,
    Record<string, { operationId: string; security?: unknown; responses: object; requestBody?: unknown }>
  >;
}

const document = openApiDocument() as Document;
const urlOf = (path: string) =>
  path.replace('{name}', 'orders-db').replace('{id}', leaseId).replace('{tile}', '0/000.p/5').replace('{log}', '~1');
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

test('serves the document that the code says, so the generated file is up to date', async () => {
  const response = await fakeApp().app.request('/openapi.json');
  expect(await response.json()).toEqual(JSON.parse(JSON.stringify(document)));
});

const queries: Readonly<Record<string, string>> = {
  'GET /v1/log/issuances': '?state=open',
  'GET /v1/log/succession': '?after=1',
  'GET /v1/log/follow': '?after=0&name=standby',
  'GET /v1/leases': '?state=unrevoked',
};
const queryOf = (method: string, path: string) => queries[`${method} ${path}`] ?? '';

test('names every route once', () => {
  expect(operations.map(({ operation }) => operation.operationId).sort()).toEqual(Object.keys(routes).sort());
});

test.each(operations)(
  '$method $path: every operation said to need a token is 401 without one, the others are not',
  async ({ path, method, operation }) => {
    const response = await fakeApp().app.request(urlOf(path) + queryOf(method, path), { method });
    expect(response.status === 401).toBe(operation.security !== undefined);
    expect(Object.keys(operation.responses)).toContain(String(response.status));
  },
);

/** Of the operations that take nothing less. */
const bodies: Readonly<Record<string, object>> = {
  appendEntries: { records: ['{}'], disclosures: [null], epoch: 0, policy: 'sha256:fake' },
  addLockdown: { match: { issuer: 'ci' }, reason: 'a drill' },
  traceValue: { value: leaseId },
  eraseDisclosures: { identity: 'ci:acme/shop', reason: 'a request' },
  claimSuccession: { checkpoint: 'pass.example.com/ledger\n5\nAAAA\n\n' },
};

test('answers and problems are as documented', async () => {
  const { app } = fakeApp();
  for (const [operation, schema] of Object.entries(answers)) {
    const { method, path } = routes[operation as keyof typeof answers];
    const who =
      operation.startsWith('issue') || operation === 'explainDecision'
        ? 'workload'
        : path.startsWith('/v1/log')
          ? 'writer'
          : 'auditor';
    const body = bodies[operation];
    const init =
      operation === 'exchangeToken'
        ? { method, body: new URLSearchParams(exchangeParameters) }
        : body !== undefined
          ? { method, headers: { ...bearer(who), 'content-type': 'application/json' }, body: JSON.stringify(body) }
          : { method, headers: bearer(who) };
    const response = await app.request(urlOf(path) + queryOf(method, path), init);
    expect(s.safeParse(schema, await response.json()).error, operation).toBeUndefined();
    expect(response.status).toBe(operation === 'addLockdown' ? 201 : 200);
  }
  const refused = await app.request('/nowhere');
  expect(s.safeParse(problem, await refused.json()).error).toBeUndefined();
  const refusedExchange = await app.request('/oauth/token', { method: 'POST' });
  expect(s.safeParse(oauthError, await refusedExchange.json()).error).toBeUndefined();
});
