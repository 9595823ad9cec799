import { isJsonObject, type Json } from '../../lib/strict-json.ts';
import type { Finding } from './issues.ts';
import { isPublicNumber, secretMapping, secretShape } from './secret-shapes.ts';

export interface SecretScan {
  readonly findings: readonly Finding[];
  /** The offending texts: no message may repeat them. */
  readonly texts: ReadonlySet<string>;
}

const hint = 'keep it in a store and refer to it with { store, name }';

/** Looks for secrets in every name and value of a config; no finding is made where `isTold` says that there is one already. */
export function findSecrets(config: Json, isTold: (path: Finding['path']) => boolean = () => false): SecretScan {
  const findings: Finding[] = [];
  const texts = new Set<string>();
  const look = (text: string, path: Finding['path'], name?: true) => {
    const shape = secretShape(text);
    if (shape === undefined) return;
    texts.add(text);
    if (isTold(path)) return;
    findings.push({ path, message: `${shape} has no place in a config`, hint, ...(name && { name }) });
  };
  const walk = (node: Json, path: Finding['path']): void => {
    if (typeof node === 'string') look(node, path);
    if (Array.isArray(node)) for (const [index, item] of node.entries()) walk(item, [...path, index]);
    if (!isJsonObject(node)) return;
    const mapping = secretMapping(node);
    if (mapping !== undefined) {
      for (const member of [node.d, node.k]) if (typeof member === 'string') texts.add(member);
      if (!isTold(path)) findings.push({ path, message: `${mapping} has no place in a config`, hint });
    }
    for (const [name, member] of Object.entries(node)) {
      look(name, [...path, name], true);
      // Some libraries would take it for the prototype and drop it in silence.
      if (name === '__proto__')
        findings.push({ path: [...path, name], name: true, message: 'this name is not allowed' });
      if (!isPublicNumber(node, name)) walk(member, [...path, name]);
    }
  };
  walk(config, []);
  return { findings, texts };
}

/** Takes secrets and what the environment gave out of a message, and makes one plain line of it. */
export function scrubber(secrets: Iterable<string>, taken: ReadonlyMap<string, string>): (message: string) => string {
  // Short values are left: they would be found in any message, and say nothing.
  const hidden = [
    ...[...secrets].filter((text) => text !== '').map((text) => ({ text, instead: '[redacted]' })),
    ...[...taken].filter(([value]) => value.length >= 8).map(([text, name]) => ({ text, instead: `\${${name}}` })),
  ];
  // A message may have one in quotes, and one may be the beginning of another.
  const shown = hidden
    .flatMap((one) => [one, { ...one, text: JSON.stringify(one.text).slice(1, -1) }])
    .toSorted((one, other) => other.text.length - one.text.length);
  return (message) => {
    let clean = message;
    for (const { text, instead } of shown) clean = clean.replaceAll(text, () => instead);
    if (secretShape(clean) !== undefined) return 'something is wrong with a value that looks like a secret';
    return oneLine(clean);
  };
}

// A name in a config may hold anything: a terminal shall see neither a second line nor an escape sequence.
function oneLine(text: string): string {
  const short = text.length > 400 ? `${text.slice(0, 400)}...` : text;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (unit) => `\\u{${unit.codePointAt(0)?.toString(16)}}`);
}
