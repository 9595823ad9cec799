import { version as released } from '../../package.json';

/** The released version, which records carry as `writer.version`. */
export const version: string = released;
