/** A member that a grant's `identity:` may name for one issuer. */
export interface Member {
  readonly type: 'string' | 'boolean' | 'number';
  /** Never given to another tenant or object again (an id, not a name). */
  readonly immutable?: true;
  /** For a recyclable name: the immutable member that says the same. */
  readonly prefer?: string;
}

/** What policy must know of one configured issuer to check and compile grants. */
export interface IssuerShape {
  readonly preset: string;
  readonly members: Readonly<Record<string, Member>>;
  /** Members that say whose code it is, the best one first: a grant that names none covers the whole organization. */
  readonly narrow?: readonly string[];
  /** A generic issuer: grants bind `subject` and `claims: { path: value }` instead of named members. */
  readonly generic: boolean;
  /**
   * By member: values that match only where the grant's `identity:` names that member itself. GitHub's `pull_request`
   * runs code of whoever opened it, so a grant that only names the repository must not cover it.
   */
  readonly requireNamed?: Readonly<Record<string, readonly (string | boolean)[]>>;
}
