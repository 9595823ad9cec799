/** Why tables made for the verifier key `made` are not those of `vkey`. */
export function whyOther(made: string, vkey: string): string {
  const [madeFor, ours] = [made, vkey].map((key) => key.split('+', 1)[0]);
  return madeFor === ours
    ? 'ledger.seed (without one, the signer’s key) is not the one this log was made with; see docs/keys.md'
    : 'ledger.origin (by default from broker.url) is not the one this log was made with';
}
