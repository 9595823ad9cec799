import { createClient } from './client.ts';

export {
  type Client,
  type ClientOptions,
  type Credential,
  type CredentialData,
  type CredentialOptions,
  createClient,
  type Lease,
} from './client.ts';
export { HallpassError, type HallpassErrorCode, type HallpassErrorFacts } from './error.ts';
export type { ClientPlatform } from './platform.ts';
export type { Receipt } from './receipt.ts';
export type { TokenSource } from './token.ts';

/** The client that everything is left out of: HALLPASS_URL, the token the platform gives. */
export const { getCredential, withCredential } = createClient();
