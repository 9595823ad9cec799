// node examples/cross-cloud/run.mjs: the story of README.md, from nothing, on this machine.
import { loadTs } from '../../scripts/load-ts.mjs';

const { tellStory } = await loadTs('examples/cross-cloud/story.ts');
process.exitCode = (await tellStory((line) => console.log(line))) ? 0 : 1;
