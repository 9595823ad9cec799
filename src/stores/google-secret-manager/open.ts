import { once } from '../../lib/once.ts';
import { googleCaller } from '../../sessions/google/call.ts';
import { googleLogin } from '../../sessions/google/login.ts';
import type { GoogleSecretManagerConfig } from '../google-secret-manager.ts';
import type { Store, StoreDeps } from '../store.ts';
import type { SecretManager } from './api.ts';
import { googleClient } from './client.ts';
import { restSecretManager } from './rest.ts';
import { secretManagerStore } from './secrets.ts';

export function open(config: GoogleSecretManagerConfig, deps: StoreDeps): Store {
  const { project, location } = config;
  const place = location === undefined ? '' : `.${location}.rep`;
  const endpoint = config.endpoint ?? `https://secretmanager${place}.googleapis.com`;
  const call = googleCaller(googleLogin(config, deps), deps);
  const make = once(async (): Promise<SecretManager> => {
    if (!googleClient.runtimes.includes(deps.runtime)) return restSecretManager(call, endpoint);
    const { sdkSecretManager } = await googleClient.load();
    return sdkSecretManager(call, endpoint);
  });
  const parent = location === undefined ? `projects/${project}` : `projects/${project}/locations/${location}`;
  return secretManagerStore({ make, parent, regional: location !== undefined });
}
