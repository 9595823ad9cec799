import { isFree, longestPollMs } from '../ledger/confirming/pledge.ts';
import type { Confirmations, Poll } from '../ledger/following.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { encodeFollowed, encodeSuccession } from '../ledger/wire.ts';
import { toUtf8 } from '../lib/bytes.ts';
import { Refusal } from '../lib/refusal.ts';
import { fits } from './answer-size.ts';
import { answerJson, answerJsonText, callOf, type Exchange, ledgerTime, malformed } from './exchange.ts';
import { requireWriter } from './log.ts';
import { readBody } from './request-body.ts';
import { checked, claimBody, rollBody } from './schemas.ts';

/** `GET /v1/log/succession?log=&after=`: how the logs after a generation began, for brokers that knew an earlier one. */
export async function showSuccession(exchange: Exchange): Promise<Response> {
  const logs = logsHere(exchange);
  await requireWriter(exchange);
  const { log, after } = exchange.query as { log?: string; after: string };
  return answerSuccession(exchange, named(logs, log), Number(after));
}

/** `POST /v1/log/succession`: a broker has seen a larger tree of the log before this one. */
export async function claimSuccession(exchange: Exchange): Promise<Response> {
  const logs = logsHere(exchange);
  await requireWriter(exchange);
  const bytes = await readBody(exchange, exchange.house.deployment.limits.bodyBytes);
  if (bytes === undefined) throw malformed('no_body', 'Send the checkpoint as JSON.');
  const { checkpoint } = checked(claimBody, bytes);
  const origin = checkpoint.slice(0, checkpoint.indexOf('\n'));
  const ledger = logs.find((one) => origin === one.origin || origin.startsWith(`${one.origin}~`));
  if (ledger?.claim === undefined) throw malformed('other_log', 'That is no checkpoint of a log of this ledger.');
  await ledger.claim(checkpoint, ledgerTime(exchange));
  const generation = Number(origin.slice(ledger.origin.length + 1) || 1);
  return answerSuccession(exchange, ledger, generation);
}

/** Entries of one answer, and the bytes it may have: fewer entries where they are large. */
const followEntries = 500;
const followBytes = 6 * 1024 * 1024;

/** `GET /v1/log/follow?after=&name=`: for a standby. What it asks from on says how far it is, durably. */
export async function followLog(exchange: Exchange): Promise<Response> {
  const logs = logsHere(exchange);
  const { deployment, platform } = exchange.house;
  await deployment.broker.permit(callOf(exchange), 'ledger:follow');
  const { log, after, name } = exchange.query as { log?: string; after: string; name: string };
  const { origin, reader, texts, confirming } = named(logs, log);
  if (reader === undefined || texts === undefined) throw new Refusal('not_found', 'no_such_log');
  const from = Number(after);
  const pledge = confirming && (await promised(exchange, confirming, name, from));
  const deadline = ledgerTime(exchange);
  const { base, size } = await reader.head(deadline);
  deployment.metrics.set(
    'hallpass_standby_lag_records',
    { standby: name, log: origin },
    Math.max(0, base + size - from),
  );
  if (isFree(pledge)) {
    const was = await texts.read(`standby:${name}`, deadline);
    if (was === undefined || !was.startsWith(`{"confirmed":${from},`))
      await texts.write(`standby:${name}`, was, JSON.stringify({ confirmed: from, at: platform.now() }), deadline);
  }
  const checkpoint = await reader.checkpoint(deadline);
  if (exchange.query.promoted !== undefined)
    return answerJsonText(exchange, encodeFollowed({ copied: undefined, checkpoint, pledge }));
  for (let limit = followEntries; ; limit = Math.ceil(limit / 8)) {
    const copied = await reader.copy(from, limit, deadline);
    const text = encodeFollowed({ copied, checkpoint, pledge });
    const small = toUtf8(text).byteLength <= followBytes && fits(platform.runtime, text);
    if (limit > 1 && !small) continue;
    exchange.quiet = copied === undefined || copied.entries.length === 0;
    return answerJsonText(exchange, text);
  }
}

/** What is promised to the one that asks; who relies on it is answered once there is something new, or in a moment. */
async function promised(exchange: Exchange, confirming: Confirmations, name: string, after: number) {
  const { generation, root, instance, heard, promoted } = exchange.query;
  const poll: Poll = {
    name,
    after,
    ...(generation !== undefined && { generation: Number(generation) }),
    ...(root !== undefined && { root }),
    ...(instance !== undefined && { instance }),
    ...(heard !== undefined && { heard: Number(heard) }),
    ...(promoted !== undefined && { promoted: Number(promoted) }),
  };
  const pledge = await confirming.polled(poll, ledgerTime(exchange));
  if (pledge?.state !== 'on' || pledge.instance !== instance) return pledge;
  const ms = Math.min(longestPollMs, ledgerTime(exchange).left() / 2);
  return confirming.news(poll, ms, ledgerTime(exchange));
}

/** `POST /v1/log/roll`: closes each log of the ledger and begins its successor. */
export async function rollLog(exchange: Exchange): Promise<Response> {
  const logs = logsHere(exchange);
  const { deployment } = exchange.house;
  await deployment.broker.permit(callOf(exchange), 'ledger:roll');
  const bytes = await readBody(exchange, deployment.limits.bodyBytes);
  const { generation } = bytes === undefined ? {} : checked(rollBody, bytes);
  const request = { reason: 'ordered', ...(generation !== undefined && { generation }) };
  const rolled = [];
  for (const { roll } of logs) {
    if (roll === undefined) throw new Refusal('not_found', 'cannot_roll');
    const { log, generation, done } = await roll(request, ledgerTime(exchange));
    if (done) exchange.house.platform.log('info', 'log_rolled', { log });
    rolled.push({ log, generation, done });
  }
  return answerJson(exchange, { logs: rolled });
}

async function answerSuccession(exchange: Exchange, { reader }: Ledger, after: number): Promise<Response> {
  if (reader === undefined) throw new Refusal('not_found', 'no_such_log');
  return answerJsonText(exchange, encodeSuccession(await reader.succession(after, ledgerTime(exchange))));
}

function named(logs: readonly Ledger[], origin: string | undefined): Ledger {
  const ledger = origin === undefined ? logs[0] : logs.find((one) => one.origin === origin);
  if (ledger === undefined) throw new Refusal('not_found', 'no_such_log');
  return ledger;
}

function logsHere({ house: { deployment } }: Exchange): readonly Ledger[] {
  return deployment.ledger.shards ?? [deployment.ledger];
}
