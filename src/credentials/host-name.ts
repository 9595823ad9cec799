import { Refusal } from '../lib/refusal.ts';
import { parseTemplate, type Template } from './template.ts';

const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A host name in lower case, with no dot at its end, no wildcard, and nothing that is read as an IPv4 address
 * (RFC 1123 section 2.1; URLs and inet_aton take hexadecimal numbers too).
 */
export function isHostName(text: string): boolean {
  const labels = text.split('.');
  return (
    text.length <= 253 &&
    labels.every((part) => label.test(part)) &&
    !/^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) as string)
  );
}

const shapeOf = (template: string): string => template.replace(/\{\{[^}]*\}\}/g, '{}');
const labelsIn = (text: string): number => text.split('.').length;

/**
 * A template for a name of labels: a value beside text stays within its label, as a dot in it would make it another's.
 * What is filled in must be what `suits`. @throws SyntaxError saying what is wrong with it
 */
export function parseNameTemplate(text: string, suits: (name: string) => boolean): Template {
  const { claims, places, fill } = parseTemplate(text);
  const shape = shapeOf(text);
  return {
    claims,
    places,
    fill(subject) {
      const name = fill(subject);
      const within = shape === '{}' || labelsIn(name) === labelsIn(shape);
      if (!within || !suits(name)) throw new Refusal('denied', 'template');
      return name;
    },
  };
}
