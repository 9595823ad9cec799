import { durationSchema, refSchema, resourceSchema, urlSchema } from '../lib/common-schemas.ts';
import type { Fault } from '../lib/fault.ts';
import * as s from '../lib/schema/index.ts';
import type { KindPlugIn } from './index.ts';

const most = 500;

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('github-token'),
    app: s.string('an App id in quotes, or a client id').check(s.regex(/^[\w.]{1,64}$/, 'an App id, or a client id')),
    /** The App's private key. */
    key: refSchema,
    installation: s.string('an installation id in quotes').check(s.regex(/^[1-9]\d{0,19}$/, 'an installation id')),
    /** Names without the owner; `all` are those of the installation. */
    repositories: s.optional(
      s.union([
        s.literal('all'),
        s
          .array(s.string().check(s.regex(/^(?!\.{1,2}$)[\w.-]{1,100}$/, 'a name without its owner')))
          .check(s.minLength(1), s.maxLength(most)),
      ]),
    ),
    repositoryIds: s.optional(s.array(s.int().check(s.positive())).check(s.minLength(1), s.maxLength(most))),
    permissions: s
      .record(s.string().check(s.regex(/^[a-z][a-z0-9_]{0,63}$/)), s.enum(['read', 'write', 'admin']))
      .check(s.refine((given) => Object.keys(given).length > 0, 'none would be all that the App has')),
    api: s.withDefault(urlSchema, 'https://api.github.com'),
    ttl: s.optional(durationSchema(30, 3600)),
    resource: s.optional(resourceSchema),
  }),
);

export type GithubTokenConfig = s.infer<typeof schema>;

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
  places(config) {
    const { api } = config as GithubTokenConfig;
    return { now: { api: api.replace(/\/$/, '') }, formerly: [] };
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
