/** Issuances whose record or account this process could not finish: what the sweeper settles first. */
export interface Unsettled {
  remember(issuance: string): void;
  forget(issuance: string): void;
  list(): readonly string[];
}

/** A lost one is found in the ledger, only later. */
const mostRemembered = 10_000;

export function openUnsettled(): Unsettled {
  const remembered = new Set<string>();
  return {
    remember(issuance) {
      if (remembered.size < mostRemembered) remembered.add(issuance);
    },
    forget(issuance) {
      remembered.delete(issuance);
    },
    list: () => [...remembered],
  };
}
