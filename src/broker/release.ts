import type { Issued } from '../credentials/kind.ts';
import type { Handles } from '../leases/handle.ts';
import type { Receipt } from '../ledger/ledger.ts';
import { Refusal } from '../lib/refusal.ts';
import type { IssueAnswer } from './call.ts';
import { accountOf, isRevocable, latestOf, type Pass } from './pass.ts';

/** A JWE of the data where the caller gave a key. @throws Refusal internal */
export async function sealedOf({ seal }: Pass, { data }: Issued): Promise<string | undefined> {
  try {
    return await seal?.(data);
  } catch (cause) {
    throw new Refusal('internal', 'seal', { cause });
  }
}

export interface Released {
  readonly receipt: Receipt;
  readonly handles: Handles;
  readonly sealed: string | undefined;
}

/** What the caller gets. */
export function answerOf(pass: Pass, issued: Issued, { receipt, handles, sealed }: Released): IssueAnswer {
  const { configured, credential, identity, lease, request } = pass;
  const { name, kind } = configured;
  const { kept } = issued;
  const holder = handles.holder(identity);
  const account = accountOf(pass);
  const { expiresAt } = lease;
  const handle = handles.seal({ id: request.id, kind, credential: name, expiresAt, holder, account, kept });
  const terms = {
    expiresAt: lease.expires,
    ttl: lease.ttl,
    revocable: isRevocable(pass) || (credential.made === 'read' && credential.end !== undefined),
    renewable: credential.made === 'target' && credential.renew !== undefined && latestOf(pass) > expiresAt,
    handle,
  };
  const about = { id: request.id, credential: name, kind };
  const handed = sealed === undefined ? { data: issued.data } : { sealed };
  return { ...about, ...handed, lease: terms, receipt };
}
