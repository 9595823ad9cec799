import type { Deadline } from '../../lib/deadline.ts';
import { isJsonObject, type JsonObject } from '../../lib/strict-json.ts';
import { parseInstant } from '../../lib/time.ts';
import { type Entry, everyWriter, type Ledger, type LogReader } from '../ledger.ts';
import { disclosedIn } from '../questions/index-row.ts';
import { namePattern } from '../questions/name-pattern.ts';
import type { RetentionRules } from './retain.ts';

/** An entry that has a disclosure, as far as erasing it goes by it. */
export interface Disclosing {
  readonly position: number;
  readonly id: string;
  readonly type: string;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly issuer?: string | undefined;
  readonly credential?: string | undefined;
  /** The issuance it is about. */
  readonly issuance?: string | undefined;
  /** Of a lockdown: it was added, not lifted; and until when, milliseconds. */
  readonly adds?: boolean;
  readonly until?: number | undefined;
  readonly disclosed: JsonObject;
}

/**
 * Why a disclosure is kept: a legal hold, younger than `min`, of something made at a target that may be there still, of a
 * lockdown in force, or (where somebody erases) the eraser's own.
 */
export const keptReasons = ['hold', 'min', 'live', 'lockdown', 'own'] as const;
export type Kept = (typeof keptReasons)[number];

/** Undefined for an entry without a disclosure. One that somebody spoilt in the ledger's storage has what can be read of it. */
export function disclosing({ index, record: text, disclosure }: Entry): Disclosing | undefined {
  if (disclosure === null) return undefined;
  const record = objectIn(text);
  const type = textIn(record.type) ?? '';
  const id = textIn(record.id) ?? '';
  let disclosed: JsonObject | undefined;
  return {
    position: index,
    id,
    type,
    time: parseInstant(textIn(record.time) ?? '') ?? 0,
    issuer: isJsonObject(record.identity) ? textIn(record.identity.issuer) : undefined,
    credential: textIn(record.credential),
    issuance: type === 'issuance' ? id : textIn(record.issuance),
    adds: type === 'lockdown' && record.op === 'add',
    until: parseInstant(textIn(record.until) ?? ''),
    // Opened when it is first asked for: of most that are looked at, type and time say enough.
    get disclosed() {
      disclosed ??= disclosedIn(disclosure);
      return disclosed;
    },
  };
}

export interface Judge {
  /** Why this disclosure must be kept now; undefined where it may go. Rejects with Refusal ledger_unavailable. */
  whyKept(about: Disclosing, deadline: Deadline): Promise<Exclude<Kept, 'own'> | undefined>;
}

export interface JudgeDeps {
  readonly ledger: Pick<Ledger, 'issuance'>;
  /** Where the entries lie that are judged. */
  readonly reader: Pick<LogReader, 'list'>;
  readonly rules: RetentionRules;
  readonly now: () => number;
}

/** Judges the entries of one pass over a log. What it has looked up it believes for as long: open one for each pass. */
export function openJudge({ ledger, reader, rules, now }: JudgeDeps): Judge {
  const owed = new Map<string, Promise<boolean>>();
  let lifted: Promise<ReadonlySet<string>> | undefined;

  const owes = (issuance: string, deadline: Deadline): Promise<boolean> => {
    const known = owed.get(issuance) ?? ledger.issuance(issuance, deadline, everyWriter).then(isOwed);
    owed.set(issuance, known);
    return known;
  };

  async function isInForce({ adds, id, until }: Disclosing, deadline: Deadline): Promise<boolean> {
    if (adds !== true || (until !== undefined && until <= now())) return false;
    lifted ??= readLifted(reader, deadline);
    return !(await lifted).has(id);
  }

  return {
    async whyKept(about, deadline) {
      const { type, issuer, credential, time, issuance } = about;
      const isCalled = (pattern: string) => isAbout(about.disclosed, pattern) || isNamedIn(about.disclosed, pattern);
      if (rules.isHeld({ type, issuer, credential, time, isCalled })) return 'hold';
      if (now() - time < rules.of(type).min) return 'min';
      // Its match is what it stops, and is nowhere else.
      if (await isInForce(about, deadline)) return 'lockdown';
      return issuance !== undefined && (await owes(issuance, deadline)) ? 'live' : undefined;
    },
  };
}

/** Whether it is about an identity of this name; `*` as in queries. */
export const isAbout = ({ name }: JsonObject, identity: string): boolean => fits(name, identity);

/** Whether somebody named such an identity there, in a question or a lockdown. */
export const isNamedIn = ({ query, match }: JsonObject, identity: string): boolean =>
  [query, match].some((typed) => textsIn(typed).some((text) => fits(text, identity)));

const fits = (name: unknown, identity: string): boolean =>
  typeof name === 'string' && (namePattern(identity).matches(name) || name === identity);

/** Every text below a value; one that is JSON itself is looked into. */
function textsIn(value: unknown): string[] {
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(textsIn);
  if (typeof value !== 'string') return [];
  try {
    return value.startsWith('{') ? textsIn(JSON.parse(value)) : [value];
  } catch {
    return [value];
  }
}

/** Whether something was made at a target, or may have been, that is not known to be gone. */
function isOwed(story: readonly Entry[]): boolean {
  const records = story.map(({ record }) => objectIn(record));
  if (!records.some(({ type }) => type === 'intent')) return false;
  return !records.some(({ type, reason }) =>
    // Whoever fails has undone it before; whoever gives up what another began undoes it next, and says so.
    type === 'revocation' ? reason === 'done' || reason === 'expired' : type === 'failure' && reason !== 'abandoned',
  );
}

const page = 100;

/** Ids of the lockdowns that were lifted. */
async function readLifted(reader: Pick<LogReader, 'list'>, deadline: Deadline): Promise<ReadonlySet<string>> {
  const lifted = new Set<string>();
  for (let before: number | undefined; ; ) {
    const entries = await reader.list(
      { type: 'lockdown', limit: page, ...(before !== undefined && { before }) },
      deadline,
    );
    for (const { record } of entries) {
      const { op, target } = objectIn(record);
      if (op === 'lift') lifted.add(String(target));
    }
    before = entries.at(-1)?.index;
    if (entries.length < page) return lifted;
  }
}

function objectIn(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

const textIn = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
