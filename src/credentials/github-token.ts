import * as z from 'zod/mini';
import type { Fault } from '../lib/fault.ts';
import { durationSchema, refSchema, resourceSchema, urlSchema } from '../lib/schema.ts';
import type { KindPlugIn } from './index.ts';

const most = 500;

const schema = z.lazy(() =>
  z.strictObject({
    kind: z.literal('github-token'),
    app: z.string('an App id in quotes, or a client id').check(z.regex(/^[\w.]{1,64}$/, 'an App id, or a client id')),
    /** The App's private key. */
    key: refSchema,
    installation: z.string('an installation id in quotes').check(z.regex(/^[1-9]\d{0,19}$/, 'an installation id')),
    /** Names without the owner; `all` are those of the installation. */
    repositories: z.optional(
      z.union([
        z.literal('all'),
        z
          .array(z.string().check(z.regex(/^(?!\.{1,2}$)[\w.-]{1,100}$/, 'a name without its owner')))
          .check(z.minLength(1), z.maxLength(most)),
      ]),
    ),
    repositoryIds: z.optional(z.array(z.int().check(z.positive())).check(z.minLength(1), z.maxLength(most))),
    permissions: z
      .record(z.string().check(z.regex(/^[a-z][a-z0-9_]{0,63}$/)), z.enum(['read', 'write', 'admin']))
      .check(z.refine((given) => Object.keys(given).length > 0, 'none would be all that the App has')),
    api: z._default(urlSchema, 'https://api.github.com'),
    ttl: z.optional(durationSchema(30, 3600)),
    resource: z.optional(resourceSchema),
  }),
);

export type GithubTokenConfig = z.infer<typeof schema>;

/** A token of a GitHub App's installation, narrowed to the repositories and permissions of the config. */
export const githubToken: KindPlugIn = {
  name: 'github-token',
  about: 'A token of a GitHub App, for named repositories and permissions',
  made: 'read',
  exchange: { types: ['urn:ietf:params:oauth:token-type:access_token'], member: 'token' },
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  never: {
    members: ['token', 'privatekey', 'pem', 'clientsecret'],
    instead: 'keep the App’s private key in a store and write key: { store, name }',
  },
  check: (config) => findFaults(config as GithubTokenConfig),
  holds(config) {
    const { key } = config as GithubTokenConfig;
    return [`the App’s private key, ${key.name} in the store ${key.store}`];
  },
  async load() {
    const { open } = await import('./github-token/open.ts');
    return { open: (config, deps) => open(config as GithubTokenConfig, deps) };
  },
};

function findFaults({ repositories, repositoryIds }: GithubTokenConfig): Fault[] {
  if ((repositories === undefined) !== (repositoryIds === undefined)) return [];
  const message = 'say which repositories, by name or by id';
  return [{ path: [], message, hint: 'one of repositories and repositoryIds; repositories: all takes every one' }];
}
