import { buildDeployment } from '../src/config/build.ts';
import type { Deployment } from '../src/config/deployment.ts';
import { loadConfig } from '../src/config/load.ts';
import { UnreadKey } from '../src/config/parts/key-refs.ts';
import { ConfigError, formatProblem } from '../src/config/text/problem.ts';
import { createApp } from '../src/http/app.ts';
import { problemOf } from '../src/http/problem.ts';
import { before, deadlineIn } from '../src/lib/deadline.ts';
import type { Platform } from '../src/lib/platform.ts';
import { Refusal } from '../src/lib/refusal.ts';
import { newUlid } from '../src/lib/ulid.ts';
import type { ConfigText } from './bundled.ts';

export interface Built {
  readonly deployment: Deployment;
  readonly app: ReturnType<typeof createApp>;
}

/** How long a call waits for the building, milliseconds: keys are read from stores. */
const buildMs = 12_000;

/**
 * One deployment per instance, built by the first call; a build that failed is tried again by the next one, and so is
 * one that never ended (workerd ends work with the request that began it).
 */
export function instanceOf(
  platform: Platform,
  find: () => ConfigText | Promise<ConfigText>,
  { waitMs = buildMs } = {},
) {
  let building: Promise<Built> | undefined;

  async function build(): Promise<Built> {
    const { config } = await loadChecked(platform, await find());
    const deployment = await buildDeployment(config, platform);
    return { deployment, app: createApp(deployment, platform) };
  }

  async function built(): Promise<Built> {
    building ??= build();
    const mine = building;
    try {
      return await before(
        deadlineIn(waitMs, platform.now),
        () => new Error('building took too long'),
        () => mine,
      );
    } catch (error) {
      if (building === mine) building = undefined;
      throw error;
    }
  }

  return {
    built,
    /** The app's answer, or 503 while nothing could be built; the operator's log knows why. */
    async answer(ask: (app: Built['app']) => Response | Promise<Response>): Promise<Response> {
      let app: Built['app'];
      try {
        ({ app } = await built());
      } catch (error) {
        return notBuilt(platform, error);
      }
      return ask(app);
    },
    /** Finishes what an earlier instance left open, carries copies to the sinks, and closed logs to their archive. */
    async upkeep(ms: number): Promise<void> {
      // What building takes is part of it: the platform has counted from the beginning.
      const deadline = deadlineIn(ms, platform.now);
      const { deployment } = await built();
      // The platform ends what is under way with the answer: what fails first must not cut off the others.
      const done = await Promise.allSettled([
        deployment.recover(deadline),
        deployment.forwarder?.run(deadline),
        deployment.archiver?.run(deadline),
      ]);
      const failed = done.find(({ status }) => status === 'rejected') as PromiseRejectedResult | undefined;
      if (failed !== undefined) throw failed.reason;
    },
  };
}

/** Checks a config for this runtime; each problem is a line of the operator's log. @throws ConfigError */
export async function loadChecked(platform: Platform, { text, file, folder }: ConfigText) {
  try {
    return await loadConfig(text, { file, runtime: platform.runtime, env: platform.env, folder });
  } catch (error) {
    if (error instanceof ConfigError) {
      for (const problem of error.problems) platform.log('error', 'config_problem', { error: formatProblem(problem) });
    }
    throw error;
  }
}

function notBuilt(platform: Platform, error: unknown): Response {
  const request = newUlid(platform.now(), platform.random);
  const refused = error instanceof UnreadKey ? error.cause : error;
  const reason = refused instanceof Refusal ? refused.reason : error instanceof Error ? error.name : 'unknown';
  // A SyntaxError quotes what it choked on; all others say what could not be had.
  const said = error instanceof Error && !(error instanceof SyntaxError) ? { error: error.message } : {};
  platform.log('error', 'not_built', { request, reason, ...said });
  const refusal = new Refusal('ledger_unavailable', 'not_built', { detail: 'The broker could not start.' });
  const { status, headers, body } = problemOf(refusal, request);
  const house = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', 'x-request-id': request };
  return new Response(body, { status, headers: { ...headers, ...house } });
}
