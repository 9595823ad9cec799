import { sha256, toHex } from '../../lib/bytes.ts';
import type { Client } from './connection.ts';

export interface NewAccount {
  readonly name: string;
  readonly password: string;
  readonly rules: readonly string[];
  /** A channel nobody uses, in the rules of every account of one credential: by it they are told. */
  readonly tag: string;
}

/**
 * Makes an ACL user by one command, which is done as a whole or not at all. The connection has the account's name before
 * that goes out: an undo that comes while the outcome here is unknown ends the connection first. The server is told the
 * password's SHA-256 only.
 */
export async function makeAccount(client: Client, { name, password, rules, tag }: NewAccount): Promise<void> {
  await client.call('CLIENT', 'SETNAME', name);
  const digest = `#${toHex(sha256(password))}`;
  // What a new user may do with channels is for the server's config to say, else.
  await client.call('ACL', 'SETUSER', name, 'reset', 'resetchannels', 'on', digest, ...rules, tag);
}
