import type { Receipt } from '../../ledger/ledger.ts';
import { ReceiptError, receiptVerifier } from '../../ledger/receipts/receipt.ts';
import { fromUtf8 } from '../../lib/bytes.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { callHttp } from '../../lib/http-client.ts';
import { isJsonObject, type JsonObject, parseStrictJsonObject } from '../../lib/strict-json.ts';
import { instant } from '../../lib/time.ts';
import { type DevIssuer, devSubject, devTokenLife, signDevToken } from '../dev-folder.ts';
import { exit, Failure } from '../failure.ts';
import { styles, type Terminal } from '../terminal.ts';
import { demo } from './config.ts';

export interface Demonstration {
  readonly url: string;
  /** The folder of `hallpass dev`, as the commands of the transcript name it. */
  readonly dir: string;
  readonly issuer: DevIssuer;
  /** The ledger's verifier key, taken from the ledger itself and not over HTTP. */
  readonly key: string;
  readonly terminal: Terminal;
}

/** Its own policy allows it: what refuses it is a lockdown, which only a server that runs can lift. */
export class Denied extends Failure {}

const lockedDown = 'a lockdown? `hallpass lockdown list` shows it, `hallpass lockdown lift ID` ends it';

const answerMs = 20_000;
const times: ReadonlySet<string> = new Set(['iat', 'nbf', 'exp']);

/** One issuance for real over HTTP, told step by step; whether its receipt verified. */
export async function showIssuance(demonstration: Demonstration): Promise<boolean> {
  const { url, dir, issuer, key, terminal } = demonstration;
  const { bold, dim } = styles(terminal);
  const say = (line = '') => terminal.out(`${line}\n`);
  const step = (number: number, title: string) => say(`\n${bold(`${number}. ${title}`)}`);

  say(bold(`hallpass dev on ${url}`));
  say(
    `Broker, issuer, store and ledger in this one process; what they keep is in ${dir}/,\nthe operator's log in ${dir}/operator.log.`,
  );

  step(1, 'The workload shows a token');
  const token = signDevToken(issuer, { subject: devSubject }, terminal);
  say(`   The embedded issuer signed it; it lives ${devTokenLife / 60} minutes. Its claims:`);
  for (const [name, value] of Object.entries(claimsOf(token)))
    say(`     ${name.padEnd(4)} ${value}${times.has(name) ? dim(`  ${instant(Number(value) * 1000)}`) : ''}`);

  step(2, 'The policy decides');
  const { decision, grant } = await post(demonstration, token, `/v1/explain/${demo.credential}`);
  say(
    `   May this identity have "${demo.credential}"?  ${bold(`${decision}`)}${grant === undefined ? '' : `, by the grant "${grant}"`}`,
  );
  say(dim(`   (POST /v1/explain/${demo.credential}; the grant is in ${dir}/config.yaml)`));

  step(3, 'The credential is issued');
  const answer = await post(demonstration, token, `/v1/credentials/${demo.credential}`);
  const receipt = objectAt(answer, 'receipt');
  const lease = objectAt(answer, 'lease');
  say(`   issuance  ${answer.id}`);
  for (const [name, value] of Object.entries(objectAt(answer, 'data')))
    say(`   ${name.padEnd(9)} ${name === 'version' ? value : shorten(value)}`);
  say(`   until     ${lease.expiresAt} (${lease.ttl} s)`);
  say(dim(`   (POST /v1/credentials/${demo.credential})`));

  step(4, 'It was recorded first');
  say(`   Record ${receipt.index} of the ledger "${receipt.log}", durable before the credential left:`);
  say(indent(JSON.stringify(parseStrictJsonObject(text(receipt, 'record')), null, 2)));
  say('   Who it was about lies beside the record and can be erased without breaking a proof:');
  say(indent(JSON.stringify(disclosedOf(text(receipt, 'disclosure')), null, 2)));

  step(5, 'The receipt proves it');
  const check = checkReceipt(answer.receipt, key);
  say(`   ledger key  ${key}`);
  say(
    check.verified
      ? `   ${bold('receipt verified')}: ${check.says}`
      : `   ${bold('RECEIPT NOT VERIFIED')}: ${check.says}`,
  );

  say(`\n${bold('Now you')}, in this folder, from another terminal:`);
  const named = dir === '.hallpass' ? '' : ` --dir ${quote(dir)}`;
  say(
    `\n  curl -sS -X POST -H "Authorization: Bearer $(npx hallpass dev token${named})" ${url}/v1/credentials/${demo.credential}`,
  );
  say(
    named === ''
      ? `\n  npx hallpass get ${demo.credential}`
      : `\n  HALLPASS_TOKEN="$(npx hallpass dev token${named})" npx hallpass get ${demo.credential} --server ${url}`,
  );
  say(`\n  npx hallpass ledger verify --config ${quote(`${dir}/config.yaml`)}`);
  say(
    `\n  curl -sS ${url}/oauth/token -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange -d subject_token="$(npx hallpass dev token${named})" -d subject_token_type=urn:ietf:params:oauth:token-type:jwt -d resource=${demo.resource}`,
  );
  return check.verified;
}

async function post({ url, dir, terminal }: Demonstration, token: string, path: string): Promise<JsonObject> {
  const init = { method: 'POST', headers: { authorization: `Bearer ${token}` } };
  const limits = { deadline: deadlineIn(answerMs, terminal.now), maxBytes: 1024 * 1024 };
  const answer = await callHttp(terminal.fetch, `${url}${path}`, init, limits);
  const body = parseStrictJsonObject(answer.body, 32);
  if (answer.status === 200) return body;
  const says = `POST ${path} answered ${answer.status} ${body.code}`;
  if (body.code === 'denied') throw new Denied(exit.negative, says, lockedDown);
  throw new Failure(exit.negative, says, `${dir}/operator.log says why`);
}

/** Checked with the key and the receipt alone, as anybody can. */
function checkReceipt(receipt: unknown, key: string): { verified: boolean; says: string } {
  try {
    const { size } = receiptVerifier(key)(receipt as Receipt);
    return { verified: true, says: `the record is in the signed log of ${size} records` };
  } catch (error) {
    if (!(error instanceof ReceiptError)) throw error;
    return { verified: false, says: error.reason };
  }
}

function claimsOf(token: string): JsonObject {
  return parseStrictJsonObject(Buffer.from(token.split('.')[1] ?? '', 'base64url'));
}

function disclosedOf(disclosure: string): JsonObject {
  const parsed: unknown = JSON.parse(fromUtf8(Buffer.from(disclosure, 'base64url')));
  const disclosed = Array.isArray(parsed) ? parsed[1] : undefined;
  return isJsonObject(disclosed) ? disclosed : {};
}

function objectAt(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (!isJsonObject(value)) throw new Failure(exit.negative, `the answer has no ${name}`);
  return value;
}

function text(object: JsonObject, name: string): string {
  const value = object[name];
  if (typeof value !== 'string') throw new Failure(exit.negative, `the answer has no ${name}`);
  return value;
}

// Even a demonstration does not train anybody to print secrets.
function shorten(value: unknown): string {
  const whole = typeof value === 'string' ? value : JSON.stringify(value);
  return `${whole.slice(0, Math.min(8, Math.floor(whole.length / 3)))}... (${whole.length} characters)`;
}

const indent = (lines: string) => lines.replace(/^/gm, '     ');
const quote = (path: string) => (/^[A-Za-z0-9_./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`);
