import type { Deadline } from '../../lib/deadline.ts';
import type { OperatorLog } from '../../lib/platform.ts';
import type { Confirmations } from '../following.ts';
import type { Rolled, RollRequest, Texts } from '../ledger.ts';
import type { AnswerGate } from '../log/parts.ts';
import type { Head } from '../log-store.ts';
import type { Timer } from './held-answers.ts';

/** By whom, and within how many milliseconds, an append must be confirmed before it is answered. */
export interface ConfirmTerms {
  readonly standby: string;
  readonly within: number;
}

/** The log as it is, where nobody need confirm anything. */
export interface BareLog {
  readonly origin: string;
  readonly texts: Texts;
  head(deadline: Deadline): Promise<Pick<Head, 'generation' | 'base' | 'size'>>;
  /** The checkpoint of the tree that ends at a position; undefined where no commit ended there. */
  treeAt(end: number, deadline: Deadline): Promise<string | undefined>;
  roll(request: RollRequest, deadline: Deadline): Promise<Rolled>;
}

export interface Confirming extends AnswerGate, Confirmations {
  /** Gives it the log whose answers it holds back. */
  bind(log: BareLog): void;
  /** Reads what was promised, and takes back what is not to hold any longer, where this process serves. */
  begin(deadline: Deadline): Promise<void>;
  roll(request: RollRequest, deadline: Deadline): Promise<Rolled>;
  /**
   * Resolves once all below a position may be told of: whoever reads that something was written takes it for the answer of
   * the write. Rejects with Refusal ledger_unavailable.
   */
  settled(end: number, deadline: Deadline): Promise<void>;
  /** Rejects when nothing would be answered now. */
  ready(deadline: Deadline): Promise<void>;
}

export interface ConfirmingDeps {
  /** Absent: nothing is to be confirmed, and it is only seen to that nobody relies on that. */
  readonly terms?: ConfirmTerms;
  /** Whether this process serves: a command beside the server takes nothing back. */
  readonly serves: boolean;
  readonly now: () => number;
  readonly log: OperatorLog;
  readonly count?: (name: string, labels: Readonly<Record<string, string>>) => void;
  readonly timer?: Timer;
}
