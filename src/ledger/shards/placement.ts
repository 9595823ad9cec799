import { sha256 } from '../../lib/bytes.ts';
import type { Deadline } from '../../lib/deadline.ts';
import { Refusal } from '../../lib/refusal.ts';
import { isJsonObject } from '../../lib/strict-json.ts';
import type { AppendRequest, Entry } from '../ledger.ts';
import { invalid } from '../log/examine.ts';
import { issuanceOf, type LedgerRecord, originOf, type RecordText } from '../records/record.ts';

/** Issuances whose shard is remembered; others are asked for. */
const remembered = 20_000;

/** The shard of a replay key, or of whatever else an append is placed by. */
export const hashedShard = (key: string, count: number): number => Buffer.from(sha256(key)).readUInt32BE(0) % count;

/** Decides which shard an append goes to: one and the same whoever asks, and however often. */
export interface Placement {
  /** Rejects with Refusal invalid_request or denied for one that no shard can take, and as `stories` rejects. */
  shardOf(request: AppendRequest, deadline: Deadline): Promise<number>;
}

/**
 * By the replay key, which is spent once in one shard; else by the holder, whose leases one shard counts; else by the
 * issuance. What is told of an issuance later goes where its intent or its own record is. `stories`: each shard's records
 * of an issuance; once one shard has it, the others may be away.
 */
export function openPlacement(
  count: number,
  stories: (issuance: string, deadline: Deadline) => readonly Promise<readonly Entry[]>[],
): Placement {
  const known = new Map<string, number>();
  const hashed = (key: string): number => hashedShard(key, count);

  function remember(issuances: readonly string[], shard: number): void {
    for (const issuance of issuances) {
      known.delete(issuance);
      if (known.size >= remembered) known.delete(known.keys().next().value as string);
      known.set(issuance, shard);
    }
  }

  /** The shard that has its intent or issuance; of what never had one, the shard that has anything but a login. */
  async function whereIs(issuance: string, deadline: Deadline): Promise<number | undefined> {
    const there = known.get(issuance);
    if (there !== undefined) return there;
    const types = stories(issuance, deadline).map(async (story) => (await story).map((entry) => glance(entry).type));
    const found = (await firstWith(types, beginsIssuance)) ?? (await firstWith(types, (type) => type !== 'session'));
    if (found !== undefined) remember([issuance], found);
    return found;
  }

  async function placeOf(first: Glanced, asked: Asked, deadline: Deadline): Promise<number> {
    const { key, max, begun } = asked;
    if (key !== undefined) return hashed(key);
    // Under older keys the holder had other names, and its leases are counted by the oldest one's shard.
    if (max !== undefined && begun.length > 0) return hashed(max.former?.at(-1) ?? max.holder);
    const issuance = idOf(first);
    if (first.type === 'session' || issuance === '') return hashed(String(first.id));
    const there = begun.length > 0 ? known.get(issuance) : await whereIs(issuance, deadline);
    return there ?? hashed(issuance);
  }

  return {
    async shardOf({ entries, once, max }, deadline) {
      const records = entries.map(glance);
      const [first] = records;
      // What is malformed is refused wherever it comes.
      if (first === undefined) return 0;
      const begun = records.filter(({ type }) => beginsIssuance(type)).map(idOf);
      const asked = { key: replayKey(once, records), max, begun };
      if (asked.key !== undefined) checkOnce(asked, records);
      const shard = await placeOf(first, asked, deadline);
      // An issuance that is begun in one shard has its outcome there, whatever its writer says of it then.
      if (begun.some((issuance) => (known.get(issuance) ?? shard) !== shard)) throw invalid('several_shards');
      remember(begun, shard);
      // One commit cannot span shards, and told in another shard it would not be held to what is there.
      const told = records.length === 1 ? [] : records.filter(({ type }) => type !== undefined && tells.has(type));
      for (const record of told)
        if (((await whereIs(idOf(record), deadline)) ?? shard) !== shard) throw invalid('several_shards');
      return shard;
    },
  };
}

const beginsIssuance = (type: Glanced['type']): boolean => type === 'intent' || type === 'issuance';

/** Whether it is an intent or an issuance: what is told of that issuance lies in the same shard, but for logins. */
export const isBeginning = (text: RecordText): boolean => beginsIssuance(glance(text).type);

/** The number of the first that has such a type; where none has, all must have said so: rejects as they do. */
async function firstWith(
  all: readonly Promise<readonly Glanced['type'][]>[],
  is: (type: Glanced['type']) => boolean,
): Promise<number | undefined> {
  const having = all.map(async (types, shard) => {
    if (!(await types).some(is)) throw new Error('not here');
    return shard;
  });
  return Promise.any(having).catch(async () => {
    await Promise.all(all);
    return undefined;
  });
}

interface Asked extends Pick<AppendRequest, 'max'> {
  readonly key: string | undefined;
  /** Ids of the issuances that it is an intent or issuance of. */
  readonly begun: readonly string[];
}

const tells: ReadonlySet<string> = new Set(['failure', 'revocation', 'renewal']);

function replayKey(once: string | undefined, records: readonly Glanced[]): string | undefined {
  const keys = new Set([once, ...records.map((record) => record.once)].filter((key) => key !== undefined));
  if (keys.size > 1) throw invalid('once_differs');
  return [...keys][0];
}

/** The replay key is spent in its own shard: what is bound to another one cannot be held to both. */
function checkOnce({ max }: Asked, records: readonly Glanced[]): void {
  if (max !== undefined)
    throw invalid('once_and_max', 'A ledger of several shards holds no append to both once and max.');
  if (records.some(({ type }) => type === 'renewal')) throw new Refusal('denied', 'once_not_renewed');
}

type Glanced = Partial<Pick<LedgerRecord, 'type' | 'id' | 'issuance' | 'once'>>;

/** What a record says of itself; the log that takes it looks closely. */
function glance(text: RecordText): Glanced {
  const origin = originOf(text);
  return origin === undefined ? parsed(text) : origin.record;
}

function parsed({ record }: RecordText): Glanced {
  try {
    const value: unknown = JSON.parse(record);
    return isJsonObject(value) ? (value as Glanced) : {};
  } catch {
    return {};
  }
}

const idOf = (record: Glanced): string => String(issuanceOf(record as LedgerRecord) ?? '');
