import type { Fault } from '../lib/fault.ts';
import type { IssuerShape } from '../lib/issuer-shape.ts';
import type { Ref } from '../lib/ref.ts';
import type * as s from '../lib/schema/index.ts';
import type { Json, JsonObject } from '../lib/strict-json.ts';
import type { Algorithm } from './algorithms.ts';
import type { KeyUse, VerificationKey } from './jwk.ts';
import type { TokenReason } from './refuse.ts';

/** What is known of one platform's tokens: an operator writes two lines, the preset knows the rest. */
export interface Preset {
  readonly name: string;
  /** One line for the docs. */
  readonly about: string;
  /** Strict object schema of the config entry, lazy; `preset` is its literal (absent in generic's). */
  readonly schema: s.Schema;
  readonly shape: IssuerShape;
  /** What the schema cannot say, on a value the schema accepted; paths count from the entry. */
  check(config: unknown): readonly Fault[];
  /**
   * `config` passed schema and check; `name` is its key under `issuers`. Several where the platform signs for one tenant
   * under several names, as Entra does.
   */
  compile(config: unknown, name: string): readonly IssuerProfile[];
}

/** One configured issuer, ready to verify with. */
export interface IssuerProfile {
  /** Its name in the config. */
  readonly name: string;
  /** What `iss` must be, byte for byte; `spiffe://<trust domain>` where the tokens carry none. */
  readonly issuer: string;
  /** The audience it names itself; absent: the broker's. */
  readonly audience?: string;
  readonly algorithms: ReadonlySet<string>;
  /** Longest `exp - iat`, seconds. */
  readonly lifetime: number;
  readonly form: TokenForm;
  readonly keys: KeyOrigin;
  /** What a key of a set says it is for. */
  readonly keyUse: KeyUse;
  readonly access: KeyAccess;
  /** By which claims `identify` tells another tenant, where the issuer has many. */
  readonly tenantClaims?: readonly string[];
  /** The platform's own claims, after signature and registered claims were found good: who it is, or why not. */
  identify(claims: JsonObject): Caller | TokenReason;
}

/** In what a platform's tokens may differ from those of OpenID Connect. */
export interface TokenForm {
  /** What `typ` may be where it is there. */
  readonly types: readonly string[];
  /** Without `kid` the only key of the set is meant, and none when it has two. */
  readonly kidRequired: boolean;
  /** `x5t` beside `kid`, as GitHub and Entra write it. */
  readonly thumbprintAllowed: boolean;
  readonly issuedAtRequired: boolean;
  readonly longestSubject: number;
}

export const oidcForm: TokenForm = Object.freeze({
  types: ['JWT'],
  kidRequired: true,
  thumbprintAllowed: true,
  issuedAtRequired: true,
  longestSubject: 255,
});

/** Where an issuer's keys are: in the config, in a file, at a configured URL, or where its discovery document says. */
export type KeyOrigin = { readonly kind: 'static'; readonly keys: ReadonlyMap<string, VerificationKey> } | MovingKeys;

/** Keys that may change while we run. */
export type MovingKeys =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'discovery'; readonly issuer: string };

/** What a private server wants before it gives its keys. */
export interface KeyAccess {
  /** The certificates that alone are trusted there: PEM, or the path of a file. */
  readonly ca?: string;
  /** The bearer it is shown: from a file, or a REF. */
  readonly auth?: TokenFile | Ref;
}

export interface TokenFile {
  readonly tokenFile: string;
}

/** Who a token is about, as its preset reads it. */
export interface Caller {
  /** The part of `identity.name` after the issuer's name, its components encoded by `encodeComponent`. */
  readonly path: string;
  readonly members: Readonly<Record<string, string | number | boolean>>;
  readonly disclosed: { readonly [claim: string]: Json };
}

export const defaultAlgorithms: readonly Algorithm[] = ['RS256', 'ES256', 'ES384', 'EdDSA'];

/** One component of an identity's name: separators, `*`, `%` and whatever is not plain ASCII percent-encoded. */
export const encodeComponent = (text: string): string => text.replace(/[^\x21-\x7e]|[%*:/@]/gu, encodeCharacter);

/**
 * A git ref (`refs/...`) as a component: a branch by its short name, unless that would read as a ref of another kind; a tag
 * `v1` is `tags%2Fv1`, a branch `tags/v1` is `heads%2Ftags%2Fv1`.
 */
export function encodeRef(ref: string): string {
  const short = ref.replace(/^refs\//, '');
  const branch = short.replace(/^heads\//, '');
  return encodeComponent(/^(heads|tags|pull|merge-requests)\//.test(branch) ? short : branch);
}

const utf8 = new TextEncoder();
// Separators are in most subjects: looked up, not encoded anew.
const known: ReadonlyMap<string, string> = new Map(Array.from('%*:/@', (character) => [character, bytesOf(character)]));

function encodeCharacter(character: string): string {
  return known.get(character) ?? bytesOf(character);
}

function bytesOf(character: string): string {
  return Array.from(utf8.encode(character), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}
