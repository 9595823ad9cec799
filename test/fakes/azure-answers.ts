import type { FakeAnswer } from './server.ts';

export function json(status: number, body: unknown, challenge?: string): FakeAnswer {
  const headers = { 'content-type': 'application/json', ...(challenge && { 'www-authenticate': challenge }) };
  return { status, headers, body: JSON.stringify(body) };
}

/** Key Vault's own way to say no; `inner` is the finer code. */
export const refusal = (status: number, code: string, inner?: string): FakeAnswer =>
  json(status, { error: { code, message: 'words of the vault', ...(inner && { innererror: { code: inner } }) } });
