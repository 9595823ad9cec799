/** One thing wrong with a config, where a plug-in or room found it; config/ turns `path` into file:line:column. */
export interface Fault {
  /** From the checked value downwards, e.g. `['grants', 0, 'identity', 'namespace']`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint?: string;
  /** A warning lets the config load. Default: error. */
  readonly warning?: true;
}
