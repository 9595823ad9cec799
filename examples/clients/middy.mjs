// A middleware for middy: the handler finds its credentials in `context.credentials`.
//
//   middy(handler).use(hallpass({ credentials: { partner: 'partner' } }))
//   middy(handler).use(hallpass({ credentials: { db: 'orders-db' }, revoke: true }))
import { createClient } from 'hallpass/client';

/**
 * `credentials`: the name in `context.credentials`, and Hallpass's name of it. `revoke`: each invocation gets its own, and they
 * end with it; else those of a warm instance are reused.
 */
export function hallpass({ credentials, revoke = false, client = createClient() }) {
  const end = async ({ internal }) => {
    const own = internal.hallpass ?? [];
    internal.hallpass = [];
    for (const ended of await Promise.allSettled(own.map((credential) => client.revoke(credential))))
      if (ended.status === 'rejected') console.warn(ended.reason.message);
  };
  return {
    async before({ context, internal }) {
      context.credentials = {};
      internal.hallpass = [];
      for (const [as, name] of Object.entries(credentials)) {
        const credential = await client.getCredential(name, { revoke });
        if (revoke) internal.hallpass.push(credential);
        context.credentials[as] = credential;
      }
    },
    after: end,
    onError: end,
  };
}
