import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { expect, it } from 'vitest';
import { sha256, toHex } from '../../src/lib/bytes.ts';
import { signRequest } from '../../src/sessions/aws/sign.ts';

const by = { accessKeyId: 'ASIAOFNOBODY0000', secretAccessKey: 'not-a/secret+', sessionToken: 'not-a-token==' };
const now = 1_795_348_800_123;

/** AWS's own signer, as its SDK makes it. */
async function byAws(headers: Record<string, string>, hostname: string, body: string) {
  const settings = { region: 'eu-west-1', endpoint: 'https://aws.example', credentials: by };
  const { config } = new SecretsManagerClient(settings);
  const signer = await (
    config as unknown as { signer(): Promise<{ sign(...args: unknown[]): Promise<unknown> }> }
  ).signer();
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
