import { version as released } from '../../package.json';

/** The released version, also what records carry as `writer.version`. */
export const version: string = released;
