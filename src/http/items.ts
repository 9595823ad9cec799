import type { PlacedEntry } from '../ledger/ledger.ts';
import { disclosedIn } from '../ledger/questions/index-row.ts';
import { plainJson, plainText, shown } from '../lib/controls.ts';
import { isJsonObject, type Json, type JsonObject, parseStrictJson } from '../lib/strict-json.ts';

/**
 * An entry as auditors get it, JSON. Its disclosure is in it unless it was erased; one that somebody spoilt in the ledger's
 * storage is shown as it is: a query answers all the same, and `ledger verify` is what finds it.
 */
export function itemText({ log, leaf, record, disclosure }: PlacedEntry, proof?: string): string {
  let text = `{"log":${JSON.stringify(log)},"index":${leaf},"record":${recordJson(record)}`;
  if (disclosure !== null) {
    text += `,"disclosure":${JSON.stringify(disclosure)}`;
    const disclosed = disclosedIn(disclosure);
    if (Object.keys(disclosed).length > 0) text += `,"disclosed":${plainJson(disclosed)}`;
  }
  if (proof !== undefined) text += `,"proof":${JSON.stringify(proof)}`;
  return `${text}}`;
}

// A record is JSON text already. What another broker wrote into one may be meant for an auditor's terminal.
function recordJson(record: string): string {
  try {
    JSON.parse(record);
    return plainText(record);
  } catch {
    return '{}';
  }
}

/** The columns of an export as CSV. */
const csvColumns = [
  'log',
  'index',
  'time',
  'type',
  'id',
  'issuance',
  'credential',
  'kind',
  'store',
  'version',
  'grant',
  'reason',
  'count',
  'issuer',
  'identity',
  'subject',
  'why',
  'address',
  'account',
  'expiresAt',
  'ttl',
  'fingerprint',
  'token',
  'request',
  'trace',
  'writer',
] as const;

export const csvHead = `${csvColumns.join()}\r\n`;

/** An entry as one line of CSV (RFC 4180), whatever is in it. */
export function csvLine({ log, leaf, record: text, disclosure }: PlacedEntry): string {
  const record = recordIn(text);
  const disclosed = disclosedIn(disclosure);
  const [identity, lease, writer] = [record.identity, record.lease, record.writer].map((value) =>
    isJsonObject(value) ? value : {},
  ) as [JsonObject, JsonObject, JsonObject];
  const cells: Record<(typeof csvColumns)[number], Json | undefined> = {
    log,
    index: leaf,
    time: record.time,
    type: record.type,
    id: record.id,
    issuance: record.type === 'issuance' ? record.id : record.issuance,
    credential: record.credential,
    kind: record.kind,
    store: record.store,
    version: record.version,
    grant: record.grant,
    reason: record.reason,
    count: record.count,
    issuer: identity.issuer ?? record.issuer,
    identity: disclosed.name,
    subject: disclosed.subject,
    why: disclosed.why,
    address: disclosed.address,
    account: lease.account,
    expiresAt: lease.expiresAt,
    ttl: lease.ttl,
    fingerprint: record.fingerprint,
    token: disclosed.token,
    request: record.request,
    trace: record.trace,
    writer: writer.name,
  };
  return `${csvColumns.map((column) => csvCell(cells[column])).join()}\r\n`;
}

function recordIn(text: string): JsonObject {
  try {
    const value = parseStrictJson(text);
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** A spreadsheet takes a cell that begins so for a formula (CWE-1236), in full-width forms too; an apostrophe makes it text. */
const formula = /^(?:[\t\r\n]|\s*[=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20])/;

export function csvCell(value: Json | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(value);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const safe = `${formula.test(text) ? "'" : ''}${shown(text)}`;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
