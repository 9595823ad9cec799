import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Receipt } from '../../ledger/ledger.ts';
import { ReceiptError, receiptVerifier } from '../../ledger/receipts/receipt.ts';
import { fromUtf8, toUtf8 } from '../../lib/bytes.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from '../../lib/strict-json.ts';
import { exit, Failure } from '../failure.ts';
import { shown, type Terminal } from '../terminal.ts';

/** What a receipt says it proves, and whether it does. */
export interface ReceiptReport {
  readonly log: string;
  readonly index: number;
  /** How many entries the log had; absent where it is not proved. */
  readonly size?: number;
  readonly findings: readonly { readonly code: string; readonly message: string }[];
}

/**
 * Checks a receipt, or that of a whole answer, against the ledger's verifier key; asks nobody.
 *
 * @throws Failure for a file that has none
 */
export async function checkReceipt(file: string, key: string, terminal: Terminal): Promise<ReceiptReport> {
  const { receipt, answer } = await readReceipt(file, terminal);
  const { log, index } = receipt;
  try {
    const { size } = receiptVerifier(key)(receipt);
    if (!isOf(answer, receipt.record)) return { log, index, findings: [wrongAnswer] };
    return { log, index, size, findings: [] };
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error;
    return { log, index, findings: [{ code: error.reason, message: 'the receipt does not verify' }] };
  }
}

const wrongAnswer = { code: 'wrong_answer', message: 'the receipt is of another issuance than the answer' };

/** Whether what an answer says that it is, is what the record says: of an issuance, or of the renewal of one. */
function isOf({ id, hallpass_id, credential, kind }: JsonObject, record: string): boolean {
  const recorded = objectIn(toUtf8(record)) ?? {};
  const issuance = { issuance: recorded.id, renewal: recorded.issuance }[String(recorded.type)];
  const said: readonly (readonly [Json | undefined, Json | undefined])[] = [
    [id, issuance],
    [hallpass_id, issuance],
    [credential, recorded.credential],
    [kind, recorded.kind],
  ];
  return said.every(([told, held]) => told === undefined || told === held);
}

/** `answer`: what it came in; empty for one that stands alone. */
async function readReceipt(file: string, terminal: Terminal): Promise<{ receipt: Receipt; answer: JsonObject }> {
  const bytes = await readFile(resolve(terminal.folder, file)).catch(() => {
    throw new Failure(exit.usage, `--receipt ${shown(file)} cannot be read`);
  });
  const value = objectIn(bytes) ?? {};
  const alone = receiptIn(value);
  if (alone !== undefined) return { receipt: alone, answer: {} };
  const inner = value.receipt ?? value.hallpass_receipt;
  const receipt = isJsonObject(inner) ? receiptIn(inner) : undefined;
  if (receipt !== undefined) return { receipt, answer: value };
  const hint = '`hallpass get NAME --field receipt > FILE` writes one; a whole answer is taken too';
  throw new Failure(exit.negative, `${shown(file)} is no receipt`, hint);
}

function objectIn(bytes: Uint8Array): JsonObject | undefined {
  try {
    const value = parseStrictJson(fromUtf8(bytes), 32);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function receiptIn({ log, index, record, proof, disclosure }: JsonObject): Receipt | undefined {
  if (typeof log !== 'string' || typeof record !== 'string' || typeof proof !== 'string') return undefined;
  if (!Number.isSafeInteger(index) || (disclosure !== undefined && typeof disclosure !== 'string')) return undefined;
  return { log, index: index as number, record, proof, ...(disclosure !== undefined && { disclosure }) };
}

/** One line for each finding. */
export const describeReceipt = ({ log, index, findings }: ReceiptReport): string =>
  findings.map(({ code, message }) => `${shown(log)} entry ${index}: ${code}: ${message}\n`).join('');

/** What it comes to, in one line. */
export const summarizeReceipt = ({ log, index, size }: ReceiptReport): string =>
  size === undefined
    ? 'the receipt proves nothing\n'
    : `the receipt is good: its record is entry ${index} of ${shown(log)}, which had ${size} entries\n`;
