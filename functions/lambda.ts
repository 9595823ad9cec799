import { randomBytes } from 'node:crypto';
import { hearOthers, type LambdaContext, serveLambda } from '../src/http/lambda.ts';
import { nodeIo } from '../src/lib/node-io.ts';
import { takeWarnings } from '../src/lib/node-warnings.ts';
import { jsonLines } from '../src/lib/operator-log.ts';
import type { Platform } from '../src/lib/platform.ts';
import { findConfig } from './config-file.ts';
import { instanceOf } from './instance.ts';

const platform: Platform = {
  runtime: 'lambda',
  now: Date.now,
  random: (bytes) => randomBytes(bytes),
  ...nodeIo(process.cwd()),
  log: jsonLines((line) => void process.stderr.write(line), Date.now),
  env: process.env,
  folder: process.cwd(),
  instance: `lambda-${randomBytes(4).toString('hex')}`,
};

takeWarnings((error) => platform.log('warn', 'node_warning', { error }));

const instance = instanceOf(platform, () => findConfig(process.env, process.cwd()));

/** API Gateway v2 (HTTP API) and function URLs. */
export const handler = serveLambda(
  { fetch: (request, env) => instance.answer((app) => app.fetch(request, env)) },
  platform,
);

/** A schedule of EventBridge: finishes what an earlier instance left open. */
export async function scheduled(_event: unknown, context?: LambdaContext): Promise<void> {
  await hearOthers();
  return instance.upkeep((context?.getRemainingTimeInMillis() ?? 30_000) - 1_000);
}
