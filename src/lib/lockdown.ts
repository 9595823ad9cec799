/** A lockdown in force (the kill switch). `match` names members that must all be equal; empty means everything. */
export interface Lockdown {
  readonly id: string;
  readonly epoch: number;
  readonly match: Readonly<{
    issuer?: string;
    identity?: string;
    grant?: string;
    role?: string;
    credential?: string;
    store?: string;
  }>;
  /** RFC 3339; absent: until lifted. */
  readonly until?: string;
}
