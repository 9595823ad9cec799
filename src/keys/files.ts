export { openKeyFolder } from './key-folder.ts';
export { openSealedFiles } from './sealed-files.ts';
