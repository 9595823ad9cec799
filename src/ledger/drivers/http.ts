import type { PlugIn } from '../../lib/catalog.ts';
import * as s from '../../lib/schema/index.ts';
import { urlFault } from '../../lib/url.ts';
import { ambientTokenSchema } from '../../sessions/ambient-token.ts';
import { retentionMembers } from '../erasure/retain.ts';
import { noteVerifier } from '../tree/note.ts';
import type { LedgerDriverModule } from './driver.ts';

export type HttpLedgerConfig = s.infer<typeof schema>;

const schema = s.later(() =>
  s.strictObject({
    kind: s.literal('http'),
    /** The ledger's `broker.url`. */
    url: s.string(),
    /** Its verifier key, pinned. */
    key: s.string(),
    /** Its standby, asked where the other does not answer. */
    standby: s.optional(s.string()),
    /** The platform's own token, shown instead of an assertion by a key of this broker's. */
    identity: s.optional(ambientTokenSchema),
    origin: s.optional(s.string()),
    public: s.optional(s.boolean()),
    ...retentionMembers,
  }),
);

/** A central ledger run by another Hallpass; this broker proves itself to it and checks every receipt it gets. */
export const httpLedger: PlugIn<LedgerDriverModule, 'http'> = {
  name: 'http',
  about: 'a central ledger run by another Hallpass, held to its word by a pinned key',
  schema,
  runtimes: ['node', 'lambda', 'workerd'],
  check(config) {
    const { url, key, origin, standby, ...more } = config as HttpLedgerConfig;
    const fault = faultOf(url);
    const other = standby === undefined ? undefined : faultOf(standby);
    const name = keyName(key);
    return [
      ...(fault === undefined ? [] : [{ path: ['url'], message: fault }]),
      ...(other === undefined ? [] : [{ path: ['standby'], message: other }]),
      ...(name === undefined
        ? [{ path: ['key'], message: 'not a verifier key', hint: 'the ledger shows it at /v1/log/key' }]
        : []),
      ...(name !== undefined && origin !== undefined && origin !== name
        ? [{ path: ['origin'], message: 'not the name in the key', hint: 'leave it out' }]
        : []),
      ...(['retain', 'hold'] as const)
        .filter((member) => more[member] !== undefined)
        .map((member) => ({ path: [member], warning: true as const, message: 'the ledger itself says what it keeps' })),
    ];
  },
  load: async () => {
    const { open } = await import('./http/open.ts');
    return { open };
  },
};

const faultOf = (url: string): string | undefined =>
  urlFault(url) ?? (url.endsWith('/') ? 'write the URL without the slash at its end' : undefined);

function keyName(key: string): string | undefined {
  try {
    return noteVerifier(key).name;
  } catch {
    return undefined;
  }
}
