import type { BuildOptions } from 'esbuild';

export interface BundledConfig {
  readonly file: string;
  readonly text: string;
}

export const root: string;
export const bundles: Readonly<
  Record<
    'hallpass' | 'node' | 'yaml' | 'lambda' | 'worker' | 'writers' | 'verifyWorker' | 'indexReader' | 'client',
    (outdir: string, config?: BundledConfig) => BuildOptions
  >
>;
