/** A config as text, and where it came from. */
export interface ConfigText {
  readonly text: string;
  /** For messages. */
  readonly file: string;
  /** What its relative paths count from; absent where there is no file system. */
  readonly folder?: string;
}

/** The config of this build; scripts/build.mjs puts it here. */
export const bundled: ConfigText | undefined = undefined;
