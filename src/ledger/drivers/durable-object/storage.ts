import { generateKeyPairSync } from 'node:crypto';
import { type JsonObject, parseStrictJsonObject } from '../../../lib/strict-json.ts';

/** What is used of Cloudflare's SqlStorage. Rows are complete when `exec` returns; blobs come as ArrayBuffer. */
export interface ObjectSql {
  exec(query: string, ...bindings: readonly unknown[]): { toArray(): Record<string, unknown>[] };
  /** Bytes. */
  readonly databaseSize: number;
}

/** What is used of Cloudflare's DurableObjectStorage. */
export interface ObjectStorage {
  readonly sql: ObjectSql;
  /** Runs to the end before anything else; a throw undoes it. */
  transactionSync<T>(work: () => T): T;
  /** Resolves once everything written so far is durable. */
  sync(): Promise<void>;
}

/**
 * The private key of `{ kind: local }` on this ledger, a P-256 JWK: made when it is first asked for, kept in the object's
 * storage, shown to nobody outside the object.
 */
export function signerJwk(storage: ObjectStorage): JsonObject {
  const { sql } = storage;
  return storage.transactionSync(() => {
    sql.exec('CREATE TABLE IF NOT EXISTS signer (one INTEGER PRIMARY KEY CHECK (one = 1), jwk TEXT NOT NULL)');
    const held = sql.exec('SELECT jwk FROM signer WHERE one = 1').toArray()[0]?.jwk;
    if (typeof held === 'string') return parseStrictJsonObject(held);
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const jwk = privateKey.export({ format: 'jwk' }) as JsonObject;
    sql.exec('INSERT INTO signer VALUES (1, ?)', JSON.stringify(jwk));
    return jwk;
  });
}

const textsTable = 'CREATE TABLE IF NOT EXISTS signer_texts (name TEXT PRIMARY KEY, text TEXT NOT NULL)';

/** A text that a signer keeps in the object under this name. */
export function signerText({ sql }: ObjectStorage, name: string): string | undefined {
  sql.exec(textsTable);
  const text = sql.exec('SELECT text FROM signer_texts WHERE name = ?', name).toArray()[0]?.text;
  return typeof text === 'string' ? text : undefined;
}

/** Puts it there; durable when it resolves. */
export async function keepSignerText(storage: ObjectStorage, name: string, text: string): Promise<void> {
  storage.sql.exec(textsTable);
  storage.sql.exec('INSERT OR REPLACE INTO signer_texts VALUES (?, ?)', name, text);
  await storage.sync();
}
