import { randomBytes } from 'node:crypto';
import type { JsonObject } from '../../src/lib/strict-json.ts';

export interface FakeEngine {
  /** Seconds of a lease; 0: none, as of what is static. */
  seconds: number;
  /** The most a lease may live, seconds. */
  longest: number;
  renewable: boolean;
  /** What it gives; `parameters` are those of a write. */
  make(parameters: JsonObject): JsonObject;
}

interface Held {
  readonly path: string;
  readonly token: string;
  readonly from: number;
  until: number;
}

type Said = { readonly body: JsonObject } | { readonly status: number; readonly error: string };

/** Dynamic paths of a Vault and what they have leased; a lease ends with the token under which it was given. */
export class FakeLeases {
  readonly engines = new Map<string, FakeEngine>();
  readonly held = new Map<string, Held>();
  /** Bodies of the revocations so far. */
  readonly revocations: JsonObject[] = [];

  constructor(readonly tokenEnd: (token: string) => number | undefined) {}

  /** What is alive at that time, by path. */
  alive(path: string, now = Date.now()): string[] {
    return [...this.held].filter(([id, one]) => one.path === path && this.#lives(id, now)).map(([id]) => id);
  }

  make(path: string, token: string, parameters: JsonObject): Said {
    const engine = this.engines.get(path);
    if (engine === undefined) return { status: 404, error: '' };
    const data = engine.make(parameters);
    if (engine.seconds === 0) return { body: { lease_id: '', renewable: false, lease_duration: 0, data } };
    const id = `${path}/${randomBytes(12).toString('hex')}`;
    const from = Date.now();
    this.held.set(id, { path, token, from, until: from + engine.seconds * 1000 });
    return { body: { lease_id: id, renewable: engine.renewable, lease_duration: engine.seconds, data } };
  }

  revoke(body: JsonObject): Said {
    this.revocations.push(body);
    this.held.delete(String(body.lease_id));
    return { body: {} };
  }

  renew({ lease_id: id, increment }: JsonObject): Said {
    const lease = this.held.get(String(id));
    if (lease === undefined || !this.#lives(String(id), Date.now())) return { status: 400, error: 'lease not found' };
    const engine = this.engines.get(lease.path) as FakeEngine;
    if (!engine.renewable) return { status: 400, error: 'failed to renew entry: lease is not renewable' };
    const last = lease.from + engine.longest * 1000;
    lease.until = Math.min(Date.now() + Number(increment) * 1000, last);
    const left = Math.floor((lease.until - Date.now()) / 1000 + 0.5);
    return { body: { lease_id: id as string, renewable: true, lease_duration: left } };
  }

  #lives(id: string, now: number): boolean {
    const lease = this.held.get(id);
    return lease !== undefined && lease.until > now && (this.tokenEnd(lease.token) ?? 0) > now;
  }
}
