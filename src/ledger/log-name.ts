/** Most logs a sharded ledger may have. */
export const mostShards = 64;

/** One log of a ledger. */
export interface LogName {
  /** Absent where the ledger has one log at a time. */
  readonly shard?: number;
  /** 1 for the first. */
  readonly generation: number;
}

/** The origin of one shard of a ledger. */
export const shardOrigin = (origin: string, shard: number): string => `${origin}/${shard}`;

/** Which log of the ledger `origin` has this name, `<origin>[/<shard>][~<generation>]`; undefined: none of its own. */
export function logNamed(origin: string, name: string): LogName | undefined {
  if (name === origin) return { generation: 1 };
  if (!name.startsWith(origin)) return undefined;
  const match = /^(?:\/(0|[1-9][0-9]?))?(?:~([1-9][0-9]{0,8}))?$/.exec(name.slice(origin.length));
  if (match === null) return undefined;
  const shard = match[1] === undefined ? undefined : Number(match[1]);
  const generation = match[2] === undefined ? 1 : Number(match[2]);
  // The first generation has no suffix: one log, one name.
  if ((match[2] !== undefined && generation === 1) || (shard !== undefined && shard >= mostShards)) return undefined;
  return { generation, ...(shard !== undefined && { shard }) };
}

/** The name of the first log of those that follow each other, from the name of one of them. */
export const lineOf = (name: string, { generation }: Pick<LogName, 'generation'>): string =>
  generation === 1 ? name : name.slice(0, -`~${generation}`.length);
