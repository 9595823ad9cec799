/** A word of CEL: `name` also for `in`, `true` and the like, `text` and the numbers with their value. */
export type Word =
  | { readonly kind: 'name' | 'sign'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'int' | 'double'; readonly value: number };

const signs = ['==', '!=', '<=', '>=', '&&', '||', '(', ')', '[', ']', '.', ',', '!', '<', '>'];

/** The words of a text; undefined where it holds one that a plain condition has not: an escape, a comment, another sign. */
export function wordsOf(text: string): Word[] | undefined {
  const words: Word[] = [];
  for (let at = 0; at < text.length; ) {
    const char = text[at] as string;
    const word = char === '"' || char === "'" ? quotedAt(text, at) : unquotedAt(text, at);
    if (word === undefined) return undefined;
    at = word.end;
    if (word.word !== undefined) words.push(word.word);
  }
  return words;
}

type Read = { readonly word?: Word; readonly end: number } | undefined;

function quotedAt(text: string, at: number): Read {
  const end = text.indexOf(text[at] as string, at + 1);
  if (end < 0) return undefined;
  const value = text.slice(at + 1, end);
  for (let unit = 0; unit < value.length; unit++)
    if (value[unit] === '\\' || value.charCodeAt(unit) < 0x20) return undefined;
  return { word: { kind: 'text', value }, end: end + 1 };
}

function unquotedAt(text: string, at: number): Read {
  const code = text.charCodeAt(at);
  if (isSpace(code)) return { end: at + 1 };
  if (isDigit(code)) return numberAt(text, at);
  if (isNamePart(code)) {
    const end = endOf(text, at, isNamePart);
    return { word: { kind: 'name', value: text.slice(at, end) }, end };
  }
  const sign = signs.find((one) => text.startsWith(one, at));
  return sign === undefined ? undefined : { word: { kind: 'sign', value: sign }, end: at + sign.length };
}

// As they are exact as a JSON number too; no exponent, no other base.
const mostDigits = 15;

function numberAt(text: string, at: number): Read {
  const whole = endOf(text, at, isDigit);
  const isDouble = text[whole] === '.';
  const end = isDouble ? endOf(text, whole + 1, isDigit) : whole;
  if (end - at > mostDigits || (isDouble && end === whole + 1)) return undefined;
  if ((text[at] === '0' && whole > at + 1) || isNamePart(text.charCodeAt(end))) return undefined;
  return { word: { kind: isDouble ? 'double' : 'int', value: Number(text.slice(at, end)) }, end };
}

function endOf(text: string, at: number, fits: (code: number) => boolean): number {
  let end = at;
  while (end < text.length && fits(text.charCodeAt(end))) end++;
  return end;
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isNamePart = (code: number): boolean =>
  isDigit(code) || code === 0x5f || (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a);
