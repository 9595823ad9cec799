import { isJsonObject } from '../lib/strict-json.ts';
import type { Preset } from './preset.ts';
import { generic } from './presets/generic.ts';
import { githubActions } from './presets/github-actions.ts';
import { kubernetes } from './presets/kubernetes.ts';

export const presets: readonly Preset[] = [generic, githubActions, kubernetes];

/** The preset a config entry names, generic when it names none; undefined for a name that is none. */
export function presetOf(config: unknown): Preset | undefined {
  const name = isJsonObject(config) && Object.hasOwn(config, 'preset') ? config.preset : 'generic';
  return presets.find((preset) => preset.name === name);
}
