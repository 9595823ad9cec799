import type { StoreGuide } from './guide.ts';

/** By store kind: what `federation show` prints. Imported by the CLI alone. */
export const guides: Readonly<Record<string, StoreGuide>> = {};
