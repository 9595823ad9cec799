import { Refusal } from '../lib/refusal.ts';
import { UpstreamError } from '../lib/upstream.ts';

/** What a call to a KMS gives; what it refused with becomes 503, the reason is for the operator. @throws Refusal */
export async function asked<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof UpstreamError)) throw error;
    const { step, reason, status, code, retryAfter } = error.facts;
    const words = [reason, code, status].filter((word) => word !== undefined);
    throw new Refusal('ledger_unavailable', `kms_${error.fault}`, {
      ...(retryAfter !== undefined && { retryAfter }),
      facts: { ...(step !== undefined && { step }), ...(words.length > 0 && { error: words.join(' ') }) },
      cause: error,
    });
  }
}

/** Whether a KMS is why it was refused. */
export const isKmsFault = (error: unknown): error is Refusal =>
  error instanceof Refusal && error.reason.startsWith('kms_');
