import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import type { RealServer } from '../real-servers/start.ts';

/** One call to an API server as its admin; the status and the parsed answer. */
export async function askCluster(
  { url, folder }: RealServer,
  method: string,
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const ca = await readFile(join(folder, 'ca.crt'));
  const headers = { authorization: 'Bearer admin-token', 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/${path}`, { method, ca, headers }, (incoming) => {
      let text = '';
      incoming.on('data', (part) => {
        text += part;
      });
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body: JSON.parse(text || '{}') }));
    });
    outgoing.on('error', reject);
    outgoing.end(body && JSON.stringify(body));
  });
}

export interface ClusterTrust {
  readonly issuer: string;
  readonly audience: string;
  /** PEM, of the issuer's own server. */
  readonly ca: string;
}

/** What --authentication-config takes: the assertions of one Hallpass, whose subject becomes the user's name. */
export const authenticationConfig = ({ issuer, audience, ca }: ClusterTrust): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [
      {
        issuer: { url: issuer, audiences: [audience], certificateAuthority: ca },
        claimMappings: { username: { claim: 'sub', prefix: '' } },
      },
    ],
  });
