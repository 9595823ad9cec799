import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Every file below a folder. */
export const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

/**
 * The forms in which a text may lie in a file: its bytes, and what base64url makes of it wherever it begins in a group of
 * three; the characters at the edges, which depend on its neighbours, left out.
 */
export function formsOf(text: string): Buffer[] {
  const encoded = [0, 1, 2].map((offset) => {
    const whole = Buffer.concat([Buffer.alloc(offset), Buffer.from(text)]);
    const from = Math.ceil((offset * 4) / 3);
    return Buffer.from(whole.toString('base64url').slice(from, Math.floor((whole.length * 4) / 3)));
  });
  return [Buffer.from(text), ...encoded];
}

/** Which files below a folder hold one of the texts, in any form. */
export function filesWith(folder: string, texts: readonly string[]): string[] {
  const forms = texts.flatMap(formsOf);
  return filesBelow(folder).filter((file) => {
    const bytes = readFileSync(file);
    return forms.some((form) => bytes.includes(form));
  });
}
