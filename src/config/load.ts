import { isJsonObject } from '../lib/strict-json.ts';
import { type CheckOptions, checkValue } from './check.ts';
import type { Config } from './config.ts';
import type { Finding } from './text/issues.ts';
import { ConfigError, formatProblem, type Problem } from './text/problem.ts';
import { type Place, placeAt, readSource } from './text/source.ts';

export { type CheckOptions, ConfigError, formatProblem, type Problem };

export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly Problem[];
}

/**
 * Reads and checks a config: YAML 1.2 or JSON, one document, at most 256 KiB.
 *
 * @throws ConfigError with everything that is wrong, in the order of the text
 */
export async function loadConfig(text: string, options: CheckOptions): Promise<LoadedConfig> {
  const source = await readSource(text);
  if ('spots' in source) {
    throw new ConfigError(
      source.spots.map(({ at, ...said }) => ({ file: options.file, ...placeAt(text, at), ...said })),
    );
  }
  const { config, findings } = await checkValue(source.value, options);
  if (config !== undefined && findings.length === 0) return { config, warnings: [] };
  const placeOf = await source.places();
  const problems = findings.map((finding) => problemOf(finding, options.file, placeOf(finding.path, finding.name)));
  return conclude(config, findings, problems);
}

/**
 * As loadConfig, for a config that is an object already (bundled at build time): problems name the member instead of
 * a line.
 *
 * @throws ConfigError
 */
export async function checkConfig(value: unknown, options: CheckOptions): Promise<LoadedConfig> {
  if (!isJsonObject(value)) {
    throw new ConfigError([{ file: options.file, line: 0, column: 0, message: 'a config is a mapping of sections' }]);
  }
  const { config, findings, scrub } = await checkValue(value, options);
  const problems = findings.map((finding) => {
    const message =
      finding.path.length === 0 ? finding.message : `${scrub(pathText(finding.path))}: ${finding.message}`;
    return problemOf({ ...finding, message }, options.file, { line: 0, column: 0 });
  });
  return conclude(config, findings, problems);
}

function conclude(
  config: Config | undefined,
  findings: readonly Finding[],
  problems: readonly Problem[],
): LoadedConfig {
  const sorted = problems.map((problem, at) => ({ problem, warning: findings[at]?.warning === true }));
  sorted.sort((a, b) => a.problem.line - b.problem.line || a.problem.column - b.problem.column);
  const of = (warning: boolean) => sorted.filter((one) => one.warning === warning).map(({ problem }) => problem);
  if (config === undefined) throw new ConfigError(of(false));
  return { config, warnings: of(true) };
}

const pathText = (path: Finding['path']): string =>
  path.map((step) => (/^[\w-]+$/.test(String(step)) ? step : JSON.stringify(step))).join('.');

function problemOf({ message, hint }: Finding, file: string, place: Place): Problem {
  return { file, ...place, message, ...(hint === undefined ? {} : { hint }) };
}
