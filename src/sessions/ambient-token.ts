import * as z from 'zod/mini';
import type { Deadline } from '../lib/deadline.ts';
import { later } from '../lib/schema.ts';
import { regionSchema } from './aws/region.ts';
import { readProjectedToken } from './projected-token.ts';
import { keepSession, type Session, type SessionDeps, type SessionKeeper } from './session.ts';

const path = later(() => z.string().check(z.minLength(1), z.maxLength(4096)));

/** Which of the platform's own identities is shown, where an ID token for one audience is wanted. */
export const ambientTokenSchema = later(() =>
  z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('file'), tokenFile: path }),
    z.strictObject({ kind: z.literal('gcp') }),
    z.strictObject({ kind: z.literal('aws'), region: regionSchema }),
    z.strictObject({ kind: z.literal('azure'), resource: z.string().check(z.minLength(1), z.maxLength(255)) }),
  ]),
);

export type AmbientTokenConfig = z.infer<typeof ambientTokenSchema>;

/**
 * Keeps a token of the platform's own identity for one audience: what a broker without any key shows to a ledger that
 * trusts the platform as an issuer. Entra names the audience by `resource`; a file's token was made for its own.
 *
 * @throws UpstreamError from `get`
 */
export function keepAmbientToken(
  config: AmbientTokenConfig,
  audience: string,
  deps: SessionDeps,
): SessionKeeper<string> {
  return keepSession((deadline) => login(config, audience, deps, deadline), deps.now);
}

async function login(
  config: AmbientTokenConfig,
  audience: string,
  deps: SessionDeps,
  deadline: Deadline,
): Promise<Session<string>> {
  switch (config.kind) {
    case 'file':
      return readProjectedToken(config.tokenFile, deps);
    case 'gcp':
      return (await import('./google/metadata.ts')).googleIdentityToken(audience, deps, deadline);
    case 'aws':
      return (await import('./aws/get-web-identity-token.ts')).awsIdentityToken(audience, config, deps, deadline);
    case 'azure':
      return (await import('./azure/ambient.ts')).loginAmbient({ resource: config.resource }, deps, deadline);
  }
}
