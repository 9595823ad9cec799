import type { LiveRing } from '../../keys/live-ring.ts';
import { openStandby, type Standby } from '../../ledger/going-on/standby.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { unavailable } from '../../ledger/unavailable.ts';
import { decodeFollowed, refusalOf, wireAnswerBytes } from '../../ledger/wire.ts';
import { deadlineIn } from '../../lib/deadline.ts';
import { callHttp, HttpError } from '../../lib/http-client.ts';
import type { Platform } from '../../lib/platform.ts';
import { Refusal } from '../../lib/refusal.ts';
import type { Forwarder } from '../../sinks/forwarder.ts';
import type { Config } from '../config.ts';
import { ledgerLogin } from './ledger-login.ts';

interface Follow {
  readonly url: string;
  readonly name: string;
}

/** Between two questions where there was nothing new, and the most one answer may take; milliseconds. */
const pauseMs = 500;
const askMs = 10_000;

/** This deployment's log as a standby of the one that its config follows. */
export function buildStandby(config: Config, ring: LiveRing, platform: Platform, log: Ledger): Standby {
  const { url, name } = config.ledger.follow as Follow;
  const follow = config.ledger.follow as Config['ledger'];
  const prove = ledgerLogin({ ...config, ledger: follow }, ring, platform);
  return openStandby(log, {
    now: platform.now,
    async ask(origin, after, deadline) {
      const query = new URLSearchParams({ log: origin, after: String(after), name });
      const headers = { accept: 'application/json', authorization: `Bearer ${await prove(deadline)}` };
      const limits = { deadline, maxBytes: wireAnswerBytes };
      try {
        const answer = await callHttp(platform.fetch, `${url}/v1/log/follow?${query}`, { headers }, limits);
        if (answer.status !== 200) throw refusalOf(answer.status, answer.body);
        return decodeFollowed(answer.body);
      } catch (error) {
        throw error instanceof HttpError ? unavailable(error.fault, error) : error;
      }
    },
  });
}

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

/** Follows while the server lives, until it is promoted. */
export function startFollowing(standby: Standby, platform: Pick<Platform, 'now' | 'log'>): { stop(): Promise<void> } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;
  const told = {};

  async function pass(): Promise<void> {
    await followAll(standby, platform, told);
    const over = await standby.promoted(deadlineIn(askMs, platform.now)).catch(() => false);
    if (over) platform.log('info', 'promoted');
    if (stopped || over) return;
    timer = setTimeout(() => {
      passing = pass();
    }, pauseMs).unref();
  }

  let passing = pass();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await passing;
    },
  };
}
