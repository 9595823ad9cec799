const inspect = Symbol.for('nodejs.util.inspect.custom');
const shown = '[redacted]';

/** Carries secret bytes; prints as `[redacted]` in logs, JSON, inspection, errors and template strings. */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(value: Uint8Array | string) {
    this.#bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  }

  /** The bytes themselves. Call it only where the value is used. */
  reveal(): Uint8Array {
    return this.#bytes;
  }

  /** The value as text. @throws TypeError when it is not UTF-8 */
  revealText(): string {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.#bytes);
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  [inspect](): string {
    return shown;
  }
}
