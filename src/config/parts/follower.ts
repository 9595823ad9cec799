import type { LiveRing } from '../../keys/live-ring.ts';
import { type Asked, openRelying } from '../../ledger/confirming/relying.ts';
import { headOf, logsOf } from '../../ledger/going-on/promotion.ts';
import { openStandby, type Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { unavailable } from '../../ledger/unavailable.ts';
import { followAnswerBytes, problemCodeOf, refusalOf } from '../../ledger/wire.ts';
import { decodeFollowed } from '../../ledger/wire-following.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { callHttp, type HttpAnswer, HttpError } from '../../lib/http-client.ts';
import type { LogFacts, Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseDuration } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import type { Forwarder } from '../../sinks/forwarder.ts';
import type { Config } from '../config.ts';
import { ledgerLogin } from './ledger-login.ts';
import {
  type Doubts,
  failed,
  isOfTheLiving,
  openPulse,
  type Pulse,
  startTelling,
  takeOverIfSilent,
} from './taking-over.ts';

interface Follow {
  readonly url: string;
  readonly name: string;
  readonly audience?: string;
  readonly promote?: { readonly after: string };
}

/** Between two questions where there was nothing new, and the most one answer may take; milliseconds. */
const pauseMs = 500;
const askMs = 10_000;
/** Who takes over by itself must notice, and the answer to a question may be this late at least. */
const leastAskMs = 2_500;
/** What of a question's time its own database may take, before the other's is less than it should be; milliseconds. */
const ownMs = 2_500;
/** Where the other waits with its answer for something new, it is asked again at once, unless it did not. */
const waitedMs = 200;

/** A deployment's log as a standby, and what is needed to take over by itself. */
export interface Following {
  readonly standby: Standby;
  readonly pulse: Pulse;
  /** After how many milliseconds of silence it takes over; undefined: it is told to. */
  readonly after?: number;
  readonly doubts?: Doubts | undefined;
  readonly log: Ledger;
  tell(said: Readonly<Record<string, string>>, deadline: Deadline): Promise<void>;
}

/** This deployment's log as a standby of the one that its config follows. */
export function buildStandby(config: Config, ring: LiveRing, platform: Platform, log: Ledger): Following {
  const { url, name, audience = config.broker.url, promote } = config.ledger.follow as Follow;
  const follow = config.ledger.follow as Config['ledger'];
  // It is the same ledger in two places, under whatever address the other is asked at: both take tokens for one audience,
  // unless the config binds what is shown there to that address.
  const prove = ledgerLogin({ ...config, ledger: follow }, ring, platform, audience);
  const after = promote && (parseDuration(promote.after) as number) * 1000;
  const mostMs = after === undefined ? askMs : Math.min(askMs - ownMs, Math.max(leastAskMs, after / 2));
  const pulse = openPulse(platform.now, mostMs);

  async function call(said: Readonly<Record<string, string>>, deadline: Deadline): Promise<Uint8Array> {
    const query = new URLSearchParams({ name, ...said });
    // Who cannot prove itself has asked nothing: the other is not silent for that.
    const headers = { accept: 'application/json', authorization: `Bearer ${await prove(deadline)}` };
    const limits = { deadline: deadline.within(mostMs), maxBytes: followAnswerBytes };
    const askedAt = platform.now();
    const hadTime = deadline.left() >= mostMs;
    const answer = await callHttp(platform.fetch, `${url}/v1/log/follow?${query}`, { headers }, limits).catch(
      (error) => {
        failed(pulse, error, askedAt, hadTime);
        throw error instanceof HttpError ? unavailable(error.fault, error) : error;
      },
    );
    pulse.alive ||= isOfTheLiving(answer);
    if (isOfTheLiving(answer)) pulse.answered();
    else pulse.missed(askedAt);
    if (answer.status !== 200) throw answeredWith(answer);
    return answer.body;
  }

  const texts = log.texts;
  const newInstance = () => newUlid(platform.now(), platform.random);
  const relying =
    texts && log.shards === undefined ? openRelying(texts, { newInstance, log: platform.log }) : undefined;
  const standby = openStandby(log, {
    now: platform.now,
    ...(relying && { relying }),
    async ask(origin, from, deadline, asked) {
      const answer = decodeFollowed(await call({ log: origin, after: String(from), ...saidOf(asked) }, deadline));
      pulse.waits = answer.pledge?.state === 'on';
      return answer;
    },
  });
  return {
    standby,
    pulse,
    log,
    doubts: relying,
    ...(after !== undefined && { after }),
    async tell(said, deadline) {
      await call({ log: log.origin, ...said }, deadline);
    },
  };
}

/** What it refuses with, and its own word for that. */
function answeredWith({ status, body }: Pick<HttpAnswer, 'status' | 'body'>): Refusal {
  const { code, reason, options } = refusalOf(status, body);
  const said = problemCodeOf(body);
  return new Refusal(code, reason, { ...options, facts: { status, ...(said && { code: said }) } });
}

const saidOf = (asked: Asked | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(asked ?? {}).map(([name, value]) => [name, String(value)]));

/** Takes all that the other has more, and says why it cannot, once for each reason, and when it does again. */
export async function followAll(
  standby: Standby,
  { now, log }: Pick<Platform, 'now' | 'log'>,
  told: { reason?: string | undefined },
  stopped: () => boolean = () => false,
): Promise<void> {
  try {
    // There may be more each time, for as long as the other is busy.
    while ((await standby.follow(deadlineIn(askMs, now))) > 0 && !stopped());
    // Who took over, by another process, follows no more.
    if (told.reason !== undefined && !(await standby.promoted(deadlineIn(askMs, now)))) log('info', 'follow_recovered');
    told.reason = undefined;
  } catch (error) {
    const { reason, options } = error instanceof Refusal ? error : failedItself;
    const facts: LogFacts = { ...options.facts, reason };
    const change = JSON.stringify(facts);
    if (told.reason !== change) log('warn', 'follow_failed', facts);
    told.reason = change;
  }
}

const failedItself: Pick<Refusal, 'reason' | 'options'> = { reason: 'internal', options: {} };

/** Until then the one that is followed carries to the sinks what there is; and what it erased is carried nowhere. */
export function oncePromoted(standby: Standby, forwarder: Forwarder, now: () => number): Forwarder {
  const waiting = () =>
    standby.erased(deadlineIn(askMs, now)).then(
      (over) => !over,
      () => true,
    );
  return {
    couriers: forwarder.couriers.map((courier) => ({
      ...courier,
      pass: async (deadline) => ((await waiting()) ? false : courier.pass(deadline)),
    })),
    run: async (deadline) => ((await waiting()) ? undefined : forwarder.run(deadline)),
  };
}

/** Follows while the server lives, until it is promoted; then the one it followed is told. */
export function startFollowing(
  { standby, pulse, after, doubts, log, tell }: Following,
  platform: Pick<Platform, 'now' | 'log'>,
): { stop(): Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let telling: { stop(): Promise<void> } | undefined;
  const told = {};
  const toldOf = {};

  async function pass(): Promise<void> {
    const began = platform.now();
    await followAll(standby, platform, told, () => stopped);
    if (after !== undefined && !stopped) await takeOverIfSilent(standby, pulse, after, { ...platform, doubts }, toldOf);
    const over = await standby.promoted(deadlineIn(askMs, platform.now)).catch(() => false);
    if (over) platform.log('info', 'promoted', await generationOf(log, deadlineIn(askMs, platform.now)));
    if (stopped) return;
    if (over) {
      telling = startTelling(log, tell, platform.now);
      return;
    }
    const waited = pulse.waits && platform.now() - began >= waitedMs;
    timer = setTimeout(
      () => {
        passing = pass();
      },
      waited ? 0 : pauseMs,
    ).unref();
  }

  let passing = pass();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await passing;
      await telling?.stop();
    },
  };
}

/** Of the log that grows; of a ledger of shards, of its first. */
async function generationOf(ledger: Ledger, deadline: Deadline): Promise<{ readonly generation?: number }> {
  try {
    const { generation } = await headOf(logsOf(ledger)[0]?.reader, deadline);
    return { generation };
  } catch {
    return {};
  }
}
