import type { RotatorPlugIn } from '../rotator.ts';
import { generate } from './generate.ts';
import { mysql } from './mysql.ts';
import { postgres } from './postgres.ts';

/** Every way to rotate that Hallpass knows, by its `kind` in the config. */
export const rotators: readonly RotatorPlugIn[] = [generate, postgres, mysql];
