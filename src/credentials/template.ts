import { claimAt } from '../lib/claims.ts';
import type { Fault } from '../lib/fault.ts';
import { Refusal } from '../lib/refusal.ts';
import type { JsonObject } from '../lib/strict-json.ts';

/** Whom a template speaks of; the same on the broker's and on the ledger's side. */
export interface Subject {
  /** The issuer's name in the config. */
  readonly issuer: string;
  readonly subject: string;
  readonly name?: string | undefined;
  readonly claims?: JsonObject | undefined;
}

/**
 * A text with places for parts of the identity: `{{ issuer }}`, `{{ subject }}`, `{{ name }}`, `{{ claims.PATH }}`. A
 * place that is the whole text takes the value as it is; beside other text the value is percent-encoded, so that no
 * value can pass for the text around it.
 */
export interface Template {
  /** The claim paths it names. */
  readonly claims: readonly string[];
  /** Its places in order, without their braces. */
  readonly places: readonly string[];
  /** @throws Refusal denied when the identity has no such claim, or a value that cannot stand in a token */
  fill(subject: Subject): string;
}

const members: readonly string[] = ['issuer', 'subject', 'name'];
const longest = 8192;

type Part = { readonly text: string } | { readonly place: string };

/** Reads a template. @throws SyntaxError saying what is wrong with it */
export function parseTemplate(template: string): Template {
  const parts = split(template);
  const places = parts.flatMap((part) => ('place' in part ? [part.place] : []));
  const alone = parts.length === 1;
  return {
    claims: places.filter((place) => place.startsWith('claims.')).map((place) => place.slice('claims.'.length)),
    places,
    fill(subject) {
      let filled = '';
      for (const part of parts) {
        if ('text' in part) filled += part.text;
        else filled += alone ? valueAt(part.place, subject) : percentEncode(valueAt(part.place, subject));
      }
      if (filled === '' || filled.length > longest) throw refuse();
      return filled;
    },
  };
}

/** The first place that this identity cannot fill, or not with what suits, as a config writes it; undefined where it fills all. */
export function unfilledPlace(templates: readonly Template[], subject: Subject): string | undefined {
  const unfilled = templates.find((template) => !isFilled(template, subject));
  if (unfilled === undefined) return undefined;
  const place =
    unfilled.places.find((each) => !isFilled(parseTemplate(`{{ ${each} }}`), subject)) ?? unfilled.places[0];
  return place === undefined ? 'template' : `{{ ${place} }}`;
}

function isFilled(template: Template, subject: Subject): boolean {
  try {
    template.fill(subject);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with a template of the config, if anything. */
export function templateFaults(template: string, path: Fault['path']): Fault[] {
  try {
    parseTemplate(template);
    return [];
  } catch (error) {
    return [{ path, message: (error as SyntaxError).message }];
  }
}

/** Percent-encodes all but the unreserved characters (RFC 3986 section 2.3). */
export const percentEncode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);

function split(template: string): Part[] {
  const parts: Part[] = [];
  for (const [index, piece] of template.split('{{').entries()) {
    const end = piece.indexOf('}}');
    if (index > 0) {
      if (end < 0) throw new SyntaxError('a {{ without its }}');
      parts.push({ place: checkPlace(piece.slice(0, end).trim()) });
    }
    const text = index > 0 ? piece.slice(end + 2) : piece;
    if (text.includes('}}')) throw new SyntaxError('a }} without its {{');
    if (text !== '') parts.push({ text });
  }
  if (parts.length === 0) throw new SyntaxError('an empty template');
  return parts;
}

function checkPlace(place: string): string {
  if (members.includes(place) || /^claims\.[^{}\s]{1,256}$/.test(place)) return place;
  throw new SyntaxError('a place is {{ issuer }}, {{ subject }}, {{ name }} or {{ claims.PATH }}');
}

function valueAt(place: string, subject: Subject): string {
  const value = place.startsWith('claims.')
    ? claimAt(subject.claims ?? {}, place.slice('claims.'.length))
    : subject[place as 'issuer' | 'subject' | 'name'];
  // A longer number has lost digits on the way: the same text would stand for several ids.
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw refuse();
  const text = typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
  if (typeof text !== 'string' || text === '' || !text.isWellFormed() || /[\p{Cc}\u2028\u2029]/u.test(text))
    throw refuse();
  return text;
}

const refuse = () => new Refusal('denied', 'template');
