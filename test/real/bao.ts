import type { RealServer } from '../real-servers/start.ts';

/** One call to an OpenBao as its root. @throws Error with its words where it refuses */
export async function askBao({ url }: RealServer, method: string, path: string, body?: object): Promise<unknown> {
  const headers = { 'x-vault-token': 'root', 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text === '' ? undefined : JSON.parse(text);
}

export interface BaoTrust {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
}

/** Has it trust the assertions of one Hallpass, which must be running: role `hallpass` reads what is under `secret/`. */
export async function setUpBao(bao: RealServer, { issuer, subject, audience }: BaoTrust): Promise<void> {
  const policy = 'path "secret/data/*" { capabilities = ["read"] }';
  await askBao(bao, 'PUT', 'sys/policies/acl/hallpass', { policy });
  await askBao(bao, 'POST', 'sys/auth/jwt', { type: 'jwt' });
  await askBao(bao, 'POST', 'auth/jwt/config', { oidc_discovery_url: issuer });
  await askBao(bao, 'POST', 'auth/jwt/role/hallpass', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: [audience],
    bound_subject: subject,
    token_policies: ['hallpass'],
    token_ttl: '15m',
  });
}
