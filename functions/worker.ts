import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
import { bindRequest } from '../src/http/bound.ts';
import { answerLedgerCalls } from '../src/ledger/drivers/durable-object/answer.ts';
import { toHex } from '../src/lib/bytes.ts';
import { jsonLines } from '../src/lib/operator-log.ts';
import type { Platform } from '../src/lib/platform.ts';
import { bundled, type ConfigText } from './bundled.ts';
import { instanceOf, loadChecked } from './instance.ts';

type Bindings = Readonly<Record<string, unknown>>;
interface Context {
  waitUntil(work: Promise<unknown>): void;
}

const upkeepMs = 25_000;
let instance: ReturnType<typeof instanceOf> | undefined;
const instanceFor = (env: Bindings) => {
  instance ??= instanceOf(platformOf(env, 'worker'), () => findConfig(env));
  return instance;
};

export default {
  fetch(request: Request, env: Bindings, context: Context): Promise<Response> {
    const answer = instanceFor(env).answer((app) => app.fetch(request, env, context as never));
    // A caller who hangs up ends neither the undoing nor what others wait for.
    context.waitUntil(answer.catch(() => {}));
    return answer;
  },
  /** A cron trigger: finishes what an earlier instance left open. */
  scheduled: (_event: unknown, env: Bindings): Promise<void> => instanceFor(env).upkeep(upkeepMs),
};

/**
 * What other Workers of the account bind to: the props of their binding are who they are, and no token is asked for. The
 * config says which (`issuers: { kind: worker-binding }`).
 */
export class Workload extends WorkerEntrypoint<Bindings> {
  override fetch(request: Request): Promise<Response> {
    const { env, ctx } = this;
    const bound = bindRequest(request, ctx.props);
    const answer = instanceFor(env).answer((app) => app.fetch(bound, env, ctx as never));
    ctx.waitUntil(answer.catch(() => {}));
    return answer;
  }
}

/** The ledger: one object, its log in SQLite storage, its keys where the handler above cannot see them. */
export class Ledger extends DurableObject {
  readonly #answer: (request: Request) => Promise<Response>;

  constructor(ctx: ConstructorParameters<typeof DurableObject>[0], env: Bindings) {
    super(ctx, env);
    const platform = platformOf(env, 'ledger');
    const build = async () => {
      const { config } = await loadChecked(platform, findConfig(env));
      // Here alone is the log's code needed: what answers requests starts without it.
      const { buildLedgerSide } = await import('../src/config/parts/ledger-object.ts');
      return buildLedgerSide(config, platform, ctx.storage);
    };
    this.#answer = answerLedgerCalls(build, platform.now, (error) => {
      platform.log('error', 'ledger_failed', { error: error instanceof Error ? error.message : 'unknown' });
    });
  }

  fetch(request: Request): Promise<Response> {
    return this.#answer(request);
  }
}

function findConfig({ HALLPASS_CONFIG: text }: Bindings): ConfigText {
  if (typeof text === 'string' && text !== '') return { text, file: 'HALLPASS_CONFIG' };
  if (bundled !== undefined) return bundled;
  throw new Error('no config: set HALLPASS_CONFIG, or name one by HALLPASS_CONFIG_FILE when building');
}

function platformOf(env: Bindings, part: string): Platform {
  const random = (bytes: number) => crypto.getRandomValues(new Uint8Array(bytes));
  const strings = Object.entries(env).filter(([, value]) => typeof value === 'string');
  return {
    runtime: 'workerd',
    now: Date.now,
    random,
    fetch: (url, init) => fetch(url, init),
    log: jsonLines((line) => console.log(line.trimEnd()), Date.now),
    env: Object.fromEntries(strings) as Platform['env'],
    bindings: env,
    instance: `${part}-${toHex(random(4))}`,
  };
}
