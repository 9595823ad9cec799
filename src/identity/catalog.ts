import { isJsonObject } from '../lib/strict-json.ts';
import type { Preset } from './preset.ts';
import { aws } from './presets/aws.ts';
import { azure } from './presets/azure.ts';
import { buildkite } from './presets/buildkite.ts';
import { circleci } from './presets/circleci.ts';
import { fly } from './presets/fly.ts';
import { gcp } from './presets/gcp.ts';
import { generic } from './presets/generic.ts';
import { githubActions } from './presets/github-actions.ts';
import { gitlab } from './presets/gitlab.ts';
import { kubernetes } from './presets/kubernetes.ts';
import { spiffe } from './presets/spiffe.ts';
import { terraformCloud } from './presets/terraform-cloud.ts';
import { vercel } from './presets/vercel.ts';
import { isWorkerBinding, workerBinding } from './worker-binding.ts';

export const presets: readonly Preset[] = [
  generic,
  githubActions,
  gitlab,
  kubernetes,
  aws,
  gcp,
  azure,
  spiffe,
  vercel,
  circleci,
  buildkite,
  terraformCloud,
  fly,
  workerBinding,
];

/** The preset a config entry names, generic when it names none; undefined for a name that is none. */
export function presetOf(config: unknown): Preset | undefined {
  if (isWorkerBinding(config)) return workerBinding;
  const name = isJsonObject(config) && Object.hasOwn(config, 'preset') ? config.preset : 'generic';
  return presets.find((preset) => preset.name === name && preset !== workerBinding);
}
