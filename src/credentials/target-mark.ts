import { sha256, toBase64Url } from '../lib/bytes.ts';
import { canonicalJson } from '../lib/canonical-json.ts';

/** What of an entry tells one target from another: addresses, and nothing secret. */
export type Place = Readonly<Record<string, string | number | undefined>>;

/** Where what an entry makes is made, and what else the operator says is that very target. */
export interface Places {
  readonly now: Place;
  readonly formerly: readonly Place[];
}

/** By what a lease knows the target it was made at: a record has it as `version`, where no store's value has one. */
export interface TargetMark {
  /** `target:` and 22 characters of base64url: the first 16 bytes of SHA-256 over the RFC 8785 form of `[kind, place]`. */
  readonly text: string;
  /** Whether a lease whose record has this `version` was made elsewhere. Of one without a mark nobody can say: false. */
  isOther(version: string | undefined): boolean;
}

const prefix = 'target:';

export function openTargetMark(kind: string, { now, formerly }: Places): TargetMark {
  const markOf = (place: Place) =>
    prefix + toBase64Url(sha256(canonicalJson([kind, place as Record<string, string>])).subarray(0, 16));
  const text = markOf(now);
  const same: ReadonlySet<string> = new Set([text, ...formerly.map(markOf)]);
  return { text, isOther: (version) => version?.startsWith(prefix) === true && !same.has(version) };
}
