import type { Deadline } from '../../lib/deadline.ts';

/** A version as Google tells of it, its value apart. */
export interface Version {
  /** `projects/NUMBER/secrets/NAME/versions/7` */
  readonly name: string;
  /** `ENABLED`, `DISABLED` or `DESTROYED`. */
  readonly state: string;
  /** RFC 3339, where told. */
  readonly createdAt?: string | undefined;
}

export interface Payload {
  /** As in `Version`: its number, also where `latest` or an alias was asked for. */
  readonly name: string;
  readonly data: Uint8Array;
  /** CRC32C of the data as decimal text. */
  readonly checksum?: string | undefined;
}

export interface Rotation {
  /** RFC 3339. */
  readonly next?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Of the next page; empty when this was the last. */
  readonly next: string;
}

/**
 * Secret Manager as the store sees it, however it is called. Names are full resource names of checked parts; every
 * method is one call, retries nothing, ends by the deadline and rejects with an UpstreamError (or what logging in throws).
 */
export interface SecretManager {
  access(version: string, deadline: Deadline): Promise<Payload>;
  /** Its rotation, undefined where it has none. */
  getRotation(secret: string, deadline: Deadline): Promise<Rotation | undefined>;
  /** Newest first. */
  listVersions(secret: string, pageToken: string, deadline: Deadline): Promise<Page<Version>>;
  /** Full names. */
  listSecrets(parent: string, pageToken: string, deadline: Deadline): Promise<Page<string>>;
  addVersion(secret: string, data: Uint8Array, checksum: string, deadline: Deadline): Promise<Version>;
  /** `regional`: its place is in the parent's name, and it is replicated nowhere. */
  createSecret(parent: string, id: string, regional: boolean, deadline: Deadline): Promise<void>;
  deleteSecret(secret: string, deadline: Deadline): Promise<void>;
}

export const pageSize = 1000;
/** Bytes of one page of a list. */
export const pageBytes = 4 * 1024 * 1024;
