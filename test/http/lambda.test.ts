import { handle } from 'hono/aws-lambda';
import { expect, test } from 'vitest';
import { fakeApp, tokens } from './fake-deployment.ts';

const path = '/v1/credentials/orders-db';

/** What API Gateway v2 and function URLs send: headers joined with a comma, the body as text. */
function invoke(headers: Record<string, string>, body?: string) {
  const fake = fakeApp({ runtime: 'lambda' });
  const handler = handle(fake.app as never) as unknown as (
    event: object,
    context: object,
  ) => Promise<{ statusCode: number; body: string }>;
  const event = {
    version: '2.0',
    rawPath: path,
    rawQueryString: '',
    headers: { host: 'x', authorization: `Bearer ${tokens.workload}`, 'x-forwarded-for': '203.0.113.9', ...headers },
    requestContext: { domainName: 'x', http: { method: 'POST', path, sourceIp: '198.51.100.7' } },
    isBase64Encoded: false,
    body,
  };
  return { fake, answer: handler(event, { getRemainingTimeInMillis: () => 3_000 }) };
}

test('takes body, address and remaining time from the event', async () => {
  const { fake, answer } = invoke({ 'content-type': 'application/json' }, '{"ttl":"10m"}');
  expect((await answer).statusCode).toBe(200);
  expect(fake.seen.issues[0]).toMatchObject({ got: { ttl: 600 }, address: '198.51.100.7' });
  expect(fake.seen.issues[0]?.deadline.left()).toBeLessThanOrEqual(3_000);
});

test('refuses several Authorization headers, which the gateway joined', async () => {
  const { fake, answer } = invoke({ authorization: `Bearer ${tokens.workload},Bearer ${tokens.workload}` });
  expect((await answer).statusCode).toBe(400);
  expect(fake.seen.issues).toEqual([]);
});

test('refuses a body of 1 MB', async () => {
  const { answer } = invoke({ 'content-type': 'application/json' }, JSON.stringify({ reason: 'x'.repeat(1_048_576) }));
  expect((await answer).statusCode).toBe(413);
});
