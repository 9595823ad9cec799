import type { LiveRing } from '../../keys/live-ring.ts';
import { type Asked, openRelying } from '../../ledger/confirming/relying.ts';
import { openStandby, type Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { unavailable } from '../../ledger/unavailable.ts';
import { decodeFollowed, refusalOf, wireAnswerBytes } from '../../ledger/wire.ts';
import { type Deadline, deadlineIn } from '../../lib/deadline.ts';
import { callHttp, HttpError } from '../../lib/http-client.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import { parseDuration } from '../../lib/time.ts';
import { newUlid } from '../../lib/ulid.ts';
import type { Forwarder } from '../../sinks/forwarder.ts';
import type { Config } from '../config.ts';
import { ledgerLogin } from './ledger-login.ts';
import { openPulse, type Pulse, startTelling, takeOverIfSilent } from './taking-over.ts';

interface Follow {
  readonly url: string;
  readonly name: string;
  readonly promote?: { readonly after: string };
}

/** Between two questions where there was nothing new, and the most one answer may take; milliseconds. */
const pauseMs = 500;
const askMs = 10_000;
/** Who takes over by itself must notice, and the answer to a question may be this late at least. */
const leastAskMs = 2_500;
/** Where the other waits with its answer for something new, it is asked again at once, unless it did not. */
const waitedMs = 200;

/** A deployment's log as a standby, and what is needed to take over by itself. */
export interface Following {
  readonly standby: Standby;
  readonly pulse: Pulse;
  /** After how many milliseconds of silence it takes over; undefined: it is told to. */
  readonly after?: number;
  readonly log: Ledger;
  tell(said: Readonly<Record<string, string>>, deadline: Deadline): Promise<void>;
}

/** This deployment's log as a standby of the one that its config follows. */
export function buildStandby(config: Config, ring: LiveRing, platform: Platform, log: Ledger): Following {
  const { url, name, promote } = config.ledger.follow as Follow;
  const follow = config.ledger.follow as Config['ledger'];
  const prove = ledgerLogin({ ...config, ledger: follow }, ring, platform);
  const pulse = openPulse(platform.now);
  const after = promote && (parseDuration(promote.after) as number) * 1000;
  const mostMs = after === undefined ? askMs : Math.min(askMs, Math.max(leastAskMs, after / 2));

  async function call(said: Readonly<Record<string, string>>, deadline: Deadline): Promise<Uint8Array> {
    const query = new URLSearchParams({ name, ...said });
    const limits = { deadline: deadline.within(mostMs), maxBytes: wireAnswerBytes };
    const answer = await (async () => {
      const headers = { accept: 'application/json', authorization: `Bearer ${await prove(deadline)}` };
      return callHttp(platform.fetch, `${url}/v1/log/follow?${query}`, { headers }, limits);
    })().catch((error) => {
      // Whatever the reason is: as long as it is not asked, the other answers nobody.
      pulse.missed();
      throw error instanceof HttpError ? unavailable(error.fault, error) : error;
    });
    if (answer.status >= 500) pulse.missed();
    else pulse.answered();
    if (answer.status !== 200) throw refusalOf(answer.status, answer.body);
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
    ...(after !== undefined && { after }),
    async tell(said, deadline) {
      await call({ log: log.origin, ...said }, deadline);
    },
  };
}

const saidOf = (asked: Asked | undefined): Record<string, string> =>
  Object.fromEntries(Object.entries(asked ?? {}).map(([name, value]) => [name, String(value)]));

/** Takes all that the other has more, and says why it cannot, once for each reason. */
export async function followAll(
  standby: Standby,
  { now, log }: Pick<Platform, 'now' | 'log'>,
  told: { reason?: string | undefined },
): Promise<void> {
  try {
    while ((await standby.follow(deadlineIn(askMs, now))) > 0);
    told.reason = undefined;
  } catch (error) {
    const reason = error instanceof Refusal ? error.reason : 'internal';
    if (told.reason !== reason) log('warn', 'follow_failed', { reason });
    told.reason = reason;
  }
}

/** Until then the one that is followed carries to the sinks what there is. */
export function oncePromoted(standby: Standby, forwarder: Forwarder, now: () => number): Forwarder {
  const waiting = () =>
    standby.promoted(deadlineIn(askMs, now)).then(
      (over) => !over,
      () => true,
    );
  return {
    couriers: forwarder.couriers.map((courier) => ({
      ...courier,
      pass: async (deadline) => ((await waiting()) ? undefined : courier.pass(deadline)),
    })),
    run: async (deadline) => ((await waiting()) ? undefined : forwarder.run(deadline)),
  };
}

/** Follows while the server lives, until it is promoted; then the one it followed is told. */
export function startFollowing(
  { standby, pulse, after, log, tell }: Following,
  platform: Pick<Platform, 'now' | 'log'>,
): { stop(): Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  let telling: { stop(): Promise<void> } | undefined;
  const told = {};
  const toldOf = {};

  async function pass(): Promise<void> {
    const began = platform.now();
    await followAll(standby, platform, told);
    if (after !== undefined && !stopped) await takeOverIfSilent(standby, pulse, after, platform, toldOf);
    const over = await standby.promoted(deadlineIn(askMs, platform.now)).catch(() => false);
    if (over) platform.log('info', 'promoted');
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
