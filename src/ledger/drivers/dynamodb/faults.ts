import { UpstreamError } from '../../../lib/upstream.ts';
import { HeadMoved, StoreFault } from '../../log-store.ts';

/** Of one item, while a transaction has it in hand; or of the transaction itself. */
const busy = /^Transaction(Conflict|InProgress)Exception$/;
const throttles = /^(ProvisionedThroughputExceeded|Throttling|RequestLimitExceeded|LimitExceeded)/;
/** What a transaction is cancelled for when another one was faster. */
const conflicts: ReadonlySet<string> = new Set(['ConditionalCheckFailed', 'TransactionConflict']);

interface Cancelled {
  readonly CancellationReasons?: readonly { readonly Code?: string }[];
}

const cancelledFor = ({ cause }: UpstreamError): readonly string[] =>
  ((cause as Cancelled | undefined)?.CancellationReasons ?? []).flatMap(({ Code = 'None' }) =>
    Code === 'None' ? [] : [Code],
  );

/** Whether nothing but the first write of a transaction stood in its way. */
export function onlyFirstMoved({ cause }: HeadMoved): boolean {
  const reasons = (
    ((cause as UpstreamError | undefined)?.cause as Cancelled | undefined)?.CancellationReasons ?? []
  ).map(({ Code }) => Code);
  return (
    reasons[0] === 'ConditionalCheckFailed' && reasons.slice(1).every((code) => code === undefined || code === 'None')
  );
}

/** Whether a condition did not hold; where only others had an item in hand, nobody knows whether it would have. */
export const isRefused = ({ cause }: HeadMoved): boolean =>
  cause === undefined || cancelledFor(cause as UpstreamError).includes('ConditionalCheckFailed');

const isThrottled = (error: UpstreamError): boolean =>
  error.fault === 'throttled' ||
  throttles.test(error.facts.code ?? '') ||
  (!cancelledFor(error).some((code) => conflicts.has(code)) &&
    cancelledFor(error).some((code) => throttles.test(code)));

/** Whether the same request may fare better: it was too much, or nobody knows what became of it. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof UpstreamError)) return false;
  const { status, code = '' } = error.facts;
  if (isThrottled(error) || busy.test(code)) return true;
  return error.fault === 'slow' || (error.fault === 'unreachable' && (status === undefined || status >= 500));
}

const words: Readonly<Record<string, string>> = {
  ResourceNotFoundException: 'table_missing',
  ItemCollectionSizeLimitExceededException: 'full',
};

export function faultFor(error: unknown): Error {
  if (!(error instanceof UpstreamError)) return error as Error;
  const { code = '', reason } = error.facts;
  const reasons = cancelledFor(error);
  if (code === 'ConditionalCheckFailedException' || reasons.some((one) => conflicts.has(one)))
    return new HeadMoved(undefined, { cause: error });
  const fault = (word: string) => new StoreFault(word, { cause: error });
  if (isThrottled(error)) return fault('throttled');
  if (reasons.includes('ItemCollectionSizeLimitExceeded')) return fault('full');
  return fault(words[code] ?? reason ?? error.fault);
}
