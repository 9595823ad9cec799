import { type Call, callHallpass, type Target } from './call.ts';
import { HallpassError } from './error.ts';
import { type ClientPlatform, thisPlatform } from './platform.ts';
import { checkReceipt, type Receipt } from './receipt.ts';
import type { TokenSource } from './token.ts';

export interface ClientOptions extends Partial<ClientPlatform> {
  /** The Hallpass asked; HALLPASS_URL when left out. https, or http on loopback. */
  readonly url?: string;
  /** What workload tokens are asked for; the URL when left out. */
  readonly audience?: string;
  /** A workload token, or what gives one; looked for as `hallpass get` does when left out. false: none is sent. */
  readonly token?: string | TokenSource | false;
  /** The ledger's verifier key or keys; HALLPASS_LEDGER_KEY when left out. With one, no unproved answer is handed on. */
  readonly ledgerKey?: string | readonly string[];
  /** Milliseconds a call may take with all its tries; 15,000 when left out. */
  readonly timeout?: number;
}

export interface CredentialOptions {
  /** Such as `10m`; shortened to what the grant allows. */
  readonly ttl?: string;
  /** For the record; at most 256 characters. */
  readonly reason?: string;
  /** Makes the credential this invocation's own: it is neither kept nor shared. `deadline`: RFC 3339, UTC. */
  readonly invocation?: { readonly id?: string; readonly deadline?: string };
  readonly csr?: string;
  readonly publicKey?: string;
  readonly sealTo?: Readonly<Record<string, string>>;
  /** Revoke when done: one credential for one use, neither kept nor shared. */
  readonly revoke?: boolean;
  readonly timeout?: number;
}

export interface Lease {
  /** RFC 3339, UTC. */
  readonly expiresAt: string;
  /** Seconds. */
  readonly ttl: number;
  readonly revocable: boolean;
  readonly renewable: boolean;
  /** Revokes without a workload token: as secret as the credential. */
  readonly handle?: string;
}

export type CredentialData = Readonly<Record<string, unknown>>;

export interface Credential<Data = CredentialData> {
  /** The issuance id: what an auditor finds everything by. */
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
  /** By kind; absent with `sealTo`. */
  readonly data: Data;
  /** Compact JWE, with `sealTo`. */
  readonly sealed?: string;
  readonly lease: Lease;
  readonly receipt: Receipt;
}

export interface Client {
  /**
   * One credential: the one at hand up to two thirds of its life, else a new one. While Hallpass is away, the one at hand
   * until it dies.
   *
   * @throws HallpassError
   */
  getCredential<Data = CredentialData>(name: string, options?: CredentialOptions): Promise<Credential<Data>>;
  /** Hands one to `use` and gives back what that gives. @throws HallpassError, and what `use` throws */
  withCredential<T, Data = CredentialData>(
    name: string,
    options: CredentialOptions,
    use: (credential: Credential<Data>) => T | Promise<T>,
  ): Promise<T>;
  /** Ends a lease. Idempotent; resolves once it is recorded. @throws HallpassError */
  revoke(credential: Credential<unknown>): Promise<void>;
  /** Drops what is at hand or on its way, of all names when none is given: for a target that refuses it, and after a restore. */
  forget(name?: string): void;
}

interface Held {
  readonly credential: Credential<never>;
  /** When it was asked for, by our clock: Hallpass's may be another. */
  readonly at: number;
  readonly drift: number;
  /** No renewal is tried before. */
  retryAt: number;
}

/** A caller with a live credential waits no longer for the next one, and then leaves Hallpass alone for a while. */
const renewalMs = 3000;
const leaveAloneMs = 10_000;
const snapshotMs = 1000;
const setBackMs = 30_000;

/** Asks for nothing and looks at nothing until it is used: what is made while a snapshot is taken is safe in it. */
export function createClient(options: ClientOptions = {}): Client {
  const { timeout: usual = 15_000, ledgerKey } = options;
  const kept = new Map<string, Held>();
  let flights = new Map<string, { readonly at: number; readonly done: Promise<Credential<never>> }>();

  function drop(gone: (held: Held) => boolean): void {
    for (const [key, held] of kept) if (gone(held)) kept.delete(key);
  }

  async function getCredential(name: string, given: CredentialOptions = {}): Promise<Credential<never>> {
    const { revoke, timeout = usual, ...body } = given;
    const to = targetOf(options);
    const at = to.platform.now();
    if (revoke || body.invocation) return issue(to, name, { what: `get ${name}`, body, timeout });
    const key = JSON.stringify([to.url, name, body]);
    const held = kept.get(key);
    if (held && isFresh(held, to.platform)) return held.credential;
    // Who has less time than another waits for no call of the other's.
    const turn = key + timeout;
    const flying = flights.get(turn);
    // An older one has lost its connection to a snapshot, or its request on workerd.
    if (flying && Math.abs(at - flying.at) <= timeout) return flying.done;
    const flight = {
      at,
      done: renew(to, name, body, timeout, key).finally(() => {
        if (flights.get(turn) === flight) flights.delete(turn);
      }),
    };
    flights.set(turn, flight);
    return flight.done;
  }

  async function renew(to: Target, name: string, body: object, timeout: number, key: string) {
    const { platform } = to;
    const old = kept.get(key);
    const mine = flights;
    const alive = old && isAlive(old, platform);
    const asked = { at: platform.now(), drift: driftOf(platform), retryAt: 0 };
    const what = !old || alive ? `get ${name}` : `get ${name} (the one at hand died at ${endOf(old)})`;
    const limits = alive ? { timeout: Math.min(timeout, renewalMs), tries: 1 } : { timeout };
    try {
      const credential = await issue(to, name, { what, body, ...limits });
      // Whoever asks with ever new options fills no memory: what is dead goes.
      drop((held) => !isAlive(held, platform));
      if (mine === flights) kept.set(key, { credential, ...asked });
      return credential;
    } catch (error) {
      // A refusal is an answer: what is at hand goes. While nobody answers, or the token is used up, it serves.
      const away = error instanceof HallpassError && (error.passing || /no_token|replayed/.test(error.code));
      if (!away) kept.delete(key);
      if (!away || !alive || !isAlive(old, platform)) throw error;
      const { retryAfter = 0, message } = error;
      old.retryAt = platform.now() + Math.max(retryAfter * 1000, leaveAloneMs);
      platform.warn(`hallpass: ${message}; the one at hand serves until ${endOf(old)}`);
      return old.credential;
    }
  }

  async function issue(to: Target, name: string, call: Omit<Call, 'method' | 'path'>): Promise<Credential<never>> {
    const path = `/v1/credentials/${encodeURIComponent(name)}`;
    const answer = (await callHallpass(to, { method: 'POST', path, ...call })) as Credential<never> | null;
    if (answer?.credential !== name || !(answer.lease?.ttl >= 0))
      throw new HallpassError('not_understood', `cannot ${call.what}, ${to.url} answers for another`);
    const keys = ledgerKey || to.platform.env.HALLPASS_LEDGER_KEY;
    // One a line, as `hallpass ledger key` prints those of several logs.
    if (keys) await checkReceipt(answer.receipt, answer, [keys].flat().join(' ').split(/\s+/));
    return answer;
  }

  async function revoke({ id, credential, lease: { handle } }: Credential<unknown>): Promise<void> {
    drop((held) => held.credential.id === id);
    await callHallpass(targetOf(options), {
      method: 'DELETE',
      path: `/v1/leases/${id}`,
      what: `revoke ${credential} (${id})`,
      handle,
      timeout: usual,
    });
  }

  return {
    getCredential,
    async withCredential(name, given, use) {
      const credential = await getCredential(name, given);
      try {
        return await use(credential);
      } finally {
        // The work is done or has failed by itself: neither is made worse by a lease that ends on its own a little later.
        if (given.revoke)
          await revoke(credential).catch(({ message }) => {
            thisPlatform(options).warn(`hallpass: ${message}; it lives until ${credential.lease.expiresAt}`);
          });
      }
    },
    revoke,
    forget(name) {
      // What is on its way may be just what a target refuses: those who wait for it get it, and nobody after them.
      flights = new Map();
      drop((held) => !name || held.credential.credential === name);
    },
  };
}

const endOf = (held: Held): string => new Date(diesAt(held)).toISOString();

const diesAt = ({ at, credential }: Held): number => at + credential.lease.ttl * 1000;

function isAlive(held: Held, platform: ClientPlatform): boolean {
  const moved = driftOf(platform) - held.drift;
  // Many instances start from one snapshot: what was got before it was taken is nobody's.
  const restored = platform.env.AWS_LAMBDA_INITIALIZATION_TYPE === 'snap-start' && Math.abs(moved) > snapshotMs;
  // By a clock that was set back it would outlive itself.
  return platform.now() < diesAt(held) && moved > -setBackMs && !restored;
}

function isFresh(held: Held, platform: ClientPlatform): boolean {
  const now = platform.now();
  const ofTwoThirds = held.at + 2 * diesAt(held);
  return isAlive(held, platform) && (3 * now < ofTwoThirds || now < held.retryAt);
}

/** Grows by the time that the instance stood still: the one clock is set when it is restored, the other goes on. */
const driftOf = ({ now }: ClientPlatform): number => now() - performance.now();

/** @throws HallpassError `misused` */
function targetOf(options: ClientOptions): Target {
  const platform = thisPlatform(options);
  const url = (options.url || platform.env.HALLPASS_URL || '').replace(/\/$/, '');
  // The workload token goes there: never in the clear, but on loopback.
  if (!/^(https:|http:\/\/(localhost|127(\.\d+){3}|\[::1\])(:\d+)?(\/|$))[^?#@\s]*$/.test(url))
    throw new HallpassError('misused', url ? `${url} is refused` : 'no URL', {
      hint: 'set HALLPASS_URL or `url`: https, or http on loopback',
    });
  return { url, audience: options.audience ?? url, token: options.token, platform };
}
