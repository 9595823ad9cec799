import { kinds } from '../../src/credentials/index.ts';
import type { IssueRequest, KindDeps, ReadCredential } from '../../src/credentials/kind.ts';
import type { LogFacts } from '../../src/lib/platform.ts';
import type { AssertionTerms } from '../../src/sessions/session.ts';
import { depsFor, type Entry, openKind, refusalOf, requestFor } from '../contracts/kind.ts';
import type { Asserter } from '../fakes/federation.ts';

/** What a test changes of the world: all but `assert`, which `us` gives by the entry's own terms. */
export interface World extends Partial<KindDeps> {
  readonly us: Asserter;
}

/** Deps of a kind that logs in as `us`; what it told the operator is in `lines`. */
export function cloudDeps(entry: Entry, { us, ...more }: World) {
  const lines: LogFacts[] = [];
  const terms = kinds.find(({ name }) => name === entry.kind)?.assertion?.(entry) as AssertionTerms | undefined;
  const deps: KindDeps = {
    ...depsFor(),
    log: (_, event, facts) => void lines.push({ ...facts, error: event }),
    ...(terms && { assert: (_, issuance) => us.assert(terms, {}, issuance) }),
    ...more,
  };
  return { deps, lines };
}

/** A credential of a cloud, opened as a config does. */
export async function openCloud(entry: Entry, world: World) {
  const { deps, lines } = cloudDeps(entry, world);
  const credential = (await openKind(entry, deps)) as ReadCredential;
  const read = (more: Partial<IssueRequest> = {}) => credential.read(requestFor(more));
  /** `code reason`, and that nothing of the other side's words is in it or in the log. */
  async function refused(more: Partial<IssueRequest> = {}): Promise<string> {
    const refusal = await refusalOf(read(more));
    const shown = JSON.stringify([refusal.message, refusal.options.facts, refusal.options.detail, lines]);
    if (/canary|words/.test(shown)) throw new Error(`the other side's words: ${shown}`);
    return `${refusal.code} ${refusal.reason}`;
  }
  return { credential, deps, lines, read, refused };
}
