import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { expect, it } from 'vitest';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { presign, signRequest } from '../../src/sessions/aws/sign.ts';

const by = { accessKeyId: 'ASIAOFNOBODY0000', secretAccessKey: 'not-a/secret+', sessionToken: 'not-a-token==' };
const now = 1_795_348_800_123;

type Signer = { readonly [does in 'sign' | 'presign']: (...args: unknown[]) => Promise<unknown> };

/** AWS's own signer, as its SDK makes it. */
function signerOfAws(): Promise<Signer> {
  const settings = { region: 'eu-west-1', endpoint: 'https://aws.example', credentials: by };
  return (new SecretsManagerClient(settings).config as unknown as { signer(): Promise<Signer> }).signer();
}

async function byAws(headers: Record<string, string>, hostname: string, body: string) {
  const signer = await signerOfAws();
  const request = { method: 'POST', protocol: 'https:', hostname, path: '/', query: {}, headers, body };
  const signed = await signer.sign(request, { signingDate: new Date(now) });
  return (signed as { headers: Record<string, string> }).headers.authorization;
}

it.each([
  ['{}', {}],
  ['{"SecretId":"prod/ü €"}', { 'x-amz-target': 'secretsmanager.GetSecretValue' }],
  ['', { 'x-amz-user-agent': 'two  spaces  and more ', 'amz-sdk-request': 'attempt=1; max=1' }],
])('signs %j as AWS signs it', async (body, more: Record<string, string>) => {
  // Theirs adds the digest of the body as a header where there is none.
  const digest = { 'x-amz-content-sha256': toHex(sha256(body)) };
  const headers = { 'content-type': 'application/x-amz-json-1.1', ...digest, ...more };
  const signed = signRequest({ host: 'aws.example:8443', headers, body }, by, {
    service: 'secretsmanager',
    region: 'eu-west-1',
    now,
  });
  // Ours signs what AWS reads; of the others theirs may sign more.
  const { 'amz-sdk-request': _, ...read } = headers as Record<string, string>;
  expect(signed.authorization).toBe(await byAws({ ...read, host: 'aws.example:8443' }, 'aws.example', body));
  expect(signed).toMatchObject({
    ...headers,
    'x-amz-date': '20261122T120000Z',
    'x-amz-security-token': 'not-a-token==',
  });
});

it.each([
  ['db.example', 5432, 'app', 900],
  ['orders.cluster-x.eu-west-1.rds.amazonaws.com', 3306, "it's (a) *user*! ~ü/+ &=%", 30],
])('presigns a login at %s:%i for %j as AWS does', async (hostname, port, DBUser, seconds) => {
  const signer = await signerOfAws();
  const query = { Action: 'connect', DBUser };
  const host = `${hostname}:${port}`;
  const request = { method: 'GET', protocol: 'https:', hostname, port, path: '/', query, headers: { host } };
  const more = { expiresIn: seconds, signingDate: new Date(now), signingService: 'rds-db', signingRegion: 'eu-west-1' };
  const signed = (await signer.presign(request, more)) as { query: Record<string, string> };
  const ours = presign({ host, query, seconds }, by, { service: 'rds-db', region: 'eu-west-1', now });
  expect(ours.slice(0, ours.indexOf('?'))).toBe(`${host}/`);
  const pairs = ours
    .slice(ours.indexOf('?') + 1)
    .split('&')
    .map((pair) => pair.split('=').map(decodeURIComponent));
  expect(Object.fromEntries(pairs)).toEqual(signed.query);
  expect(ours).toMatch(/^[\x21-\x7e]+$/);
  expect(ours).not.toMatch(/[!'()* ]/);
});
