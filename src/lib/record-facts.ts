/** Members of a ledger's record that others than the ledger read; those that do not apply are absent. */
export interface RecordFacts {
  readonly type: string;
  readonly id: string;
  /** RFC 3339 UTC, milliseconds. */
  readonly time: string;
  /** The broker that wrote it; `name` is its `broker.url`. */
  readonly writer: { readonly name: string; readonly instance: string; readonly version: string };
  readonly issuance?: string;
  readonly request?: string;
  readonly trace?: string;
  readonly identity?: { readonly issuer: string; readonly who: string };
  readonly credential?: string;
  readonly kind?: string;
  readonly store?: string;
  readonly version?: string;
  readonly grant?: string;
  readonly policy?: string;
  readonly reason?: string;
  readonly count?: number;
  readonly audience?: string;
  readonly issuer?: string;
  readonly from?: string;
  readonly to?: string;
  readonly counts?: Readonly<Record<string, number>>;
  readonly op?: string;
  readonly state?: string;
  readonly target?: string;
}
