import type { Deadline } from '../lib/deadline.ts';
import * as s from '../lib/schema/index.ts';
import { regionSchema } from './aws/region.ts';
import { readProjectedToken } from './projected-token.ts';
import { keepSession, type Session, type SessionDeps, type SessionKeeper } from './session.ts';

const path = s.later(() => s.string().check(s.minLength(1), s.maxLength(4096)));

/** Which of the platform's own identities is shown, where an ID token for one audience is wanted. */
export const ambientTokenSchema = s.later(() =>
  s.choice('kind', [
    s.strictObject({ kind: s.literal('file'), tokenFile: path }),
    s.strictObject({ kind: s.literal('gcp') }),
    s.strictObject({ kind: s.literal('aws'), region: regionSchema }),
    s.strictObject({ kind: s.literal('azure'), resource: s.string().check(s.minLength(1), s.maxLength(255)) }),
  ]),
);

export type AmbientTokenConfig = s.infer<typeof ambientTokenSchema>;

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
