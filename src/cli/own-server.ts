import { buildDeployment } from '../config/build.ts';
import { createApp } from '../http/app.ts';
import { readConfigFile } from './config-file.ts';
import { isAway, ledgerFailure } from './ledger-failure.ts';
import { nodePlatform } from './node-platform.ts';
import type { Terminal } from './terminal.ts';

/**
 * What a config's server would answer, without one: the same app in this process, on the same ledger, beside the server where
 * there is one. `inside` is a terminal whose calls to `url` go there. @throws Failure
 */
export async function withOwnServer<T>(
  path: string,
  terminal: Terminal,
  work: (url: string, inside: Terminal) => Promise<T>,
): Promise<T> {
  const { config, folder } = await readConfigFile(path, terminal);
  const platform = { ...nodePlatform(terminal, folder), log: () => {} };
  const deployment = await buildDeployment(config, platform).catch((error) => {
    throw isAway(error) ? ledgerFailure(error, config.ledger.kind, '') : error;
  });
  const app = createApp(deployment, platform);
  const { url } = deployment;
  const isOurs = (asked: string) => asked === url || asked.startsWith(`${url}/`);
  const inside: Terminal = {
    ...terminal,
    fetch: async (asked, init) => (isOurs(asked) ? app.fetch(new Request(asked, init)) : terminal.fetch(asked, init)),
  };
  try {
    return await work(url, inside);
  } finally {
    await deployment.close();
  }
}
