import { concat, fromBase64, sha256, toBase64, toHex, utf8 } from './bytes.ts';
import { HallpassError } from './error.ts';

/** The proof that an issuance is in the log. */
export interface Receipt {
  readonly log: string;
  readonly index: number;
  /** Canonical JSON. */
  readonly record: string;
  readonly disclosure?: string;
  /** C2SP tlog-proof. */
  readonly proof: string;
}

/** What a receipt must be about. */
export interface Claim {
  readonly id: string;
  readonly credential: string;
  readonly kind: string;
}

/**
 * Checks that a receipt proves this issuance to be in a log signed by one of the keys (C2SP vkeys).
 *
 * @throws HallpassError `receipt_invalid`
 */
export async function checkReceipt(receipt: Receipt, claim: Claim, keys: readonly string[]): Promise<void> {
  try {
    await checkProof(receipt, keys);
    // Proved to be what the log took: canonical JSON of the shape of a record.
    const record = JSON.parse(receipt.record);
    const claimed = { ...claim, type: 'issuance' };
    for (const name of ['type', 'id', 'credential', 'kind'] as const)
      must(record[name] === claimed[name], `another ${name}`);
  } catch (cause) {
    const hint = '`hallpass ledger key` shows the right key';
    const why = (cause as Error).message;
    throw new HallpassError('receipt_invalid', `the receipt for ${claim.credential} is bad (${why})`, { hint });
  }
}

function must(held: unknown, why: string): asserts held {
  if (!held) throw new Error(why);
}

/** Checks that a receipt proves its record to be in a log of one of the keys. @throws Error with the reason */
export async function checkProof(receipt: Receipt, keys: readonly string[]): Promise<void> {
  const { log, proof, record, disclosure } = receipt;
  const vkey = keys.find((key) => isLogOf(log, key.split('+')[0] as string));
  must(vkey, 'another log');
  const [, head, note] = /^c2sp\.org\/tlog-proof@v1\n(?:extra [^\n]*\n)?index (.+?)\n\n(.+)$/s.exec(proof) ?? [];
  must(head && note, 'another proof');
  const [index, ...path] = head.split('\n');
  must(index === String(receipt.index), 'another index');
  // Of three lines and no more: we write no extensions and take none.
  const [, text, origin, size, root] = /^(([^\n]+)\n(0|[1-9]\d{0,15})\n([^\n]+)\n)\n/.exec(note) ?? [];
  must(text && origin === log && (await isSigned(log, text, note.slice(text.length + 1), vkey)), 'another signer');
  const leaf = await sha256(Uint8Array.of(0), utf8(record));
  const proved = await rootOf(leaf, receipt.index, Number(size), path.map(fromBase64));
  must(proved && toBase64(proved) === root, 'another root');
  if (disclosure === undefined) return;
  const who = toBase64(await sha256(utf8(disclosure))).replace(/\W/g, (char) => '-_'['+/'.indexOf(char)] ?? '');
  must(JSON.parse(record).identity.who === who, 'another disclosure');
}

/**
 * Whether a log is the ledger of this name, one of its shards (`/<n>`) or a later generation (`~<n>`). No more is asked of
 * the end: the ledger's key signs under names of its own only.
 */
const isLogOf = (log: string, name: string): boolean =>
  log.startsWith(name) && /^[/~\d]*$/.test(log.slice(name.length));

/** C2SP signed-note: whether there is a signature of this key under the log's own name, and it is good. */
async function isSigned(log: string, text: string, signatures: string, vkey: string): Promise<boolean> {
  const [name, hash, material] = vkey.split(/\+([0-9a-f]{8})\+/) as [string, string, string];
  const typed = fromBase64(material);
  const idOf = async (named: string) => toHex((await sha256(utf8(`${named}\n`), typed)).subarray(0, 4));
  // The first byte says Ed25519.
  if (typed[0] !== 1 || (await idOf(name)) !== hash) return false;
  const id = await idOf(log);
  const key = await crypto.subtle.importKey('raw', typed.subarray(1), 'Ed25519', false, ['verify']);
  // No name has a space in it, so this is where the log's own line begins; the first is the one that counts.
  const bytes = fromBase64(signatures.split(`\u2014 ${log} `)[1]?.split('\n')[0] ?? '');
  const signed = toHex(bytes.subarray(0, 4)) === id;
  return signed && crypto.subtle.verify('Ed25519', key, bytes.subarray(4), utf8(text) as Uint8Array<ArrayBuffer>);
}

/** The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); undefined when it does not fit the tree. */
async function rootOf(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]) {
  let hash = leaf;
  let at = index;
  let last = size - 1;
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return undefined;
    const right = at % 2 === 1 || at === last;
    const [first, second] = right ? [sibling, hash] : [hash, sibling];
    hash = await sha256(Uint8Array.of(1), concat(first, second));
    for (let more = true; more; [at, last] = [half(at), half(last)]) more = right && at % 2 === 0 && at !== 0;
  }
  return last === 0 && index < size ? hash : undefined;
}

// Numbers go past 2^31, so a shift is a division.
const half = (value: number): number => Math.floor(value / 2);
