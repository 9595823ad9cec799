import { hasControls } from '../../lib/controls.ts';

/** Any text but control characters: it is never a path. */
export const isLocalName = (name: string): boolean =>
  name.length >= 1 && name.length <= 256 && name.isWellFormed() && !hasControls(name);
