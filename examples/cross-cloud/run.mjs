// node examples/cross-cloud/run.mjs: the story of README.md, from nothing, on this machine.
import { loadTs } from '../../scripts/load-ts.mjs';

// Told to stop, or with nobody left to tell, it ends at its next line, so that nothing is left half started; then it stops what
// it started.
const stopped = new AbortController();
const stop = (code) => {
  process.exitCode = code;
  stopped.abort();
};
process.on('SIGINT', () => stop(130));
process.on('SIGTERM', () => stop(143));
process.stdout.on('error', () => stop(1));
const say = (line) => {
  stopped.signal.throwIfAborted();
  console.log(line);
};

try {
  const { tellStory } = await loadTs('examples/cross-cloud/story.ts');
  const came = await tellStory(say);
  process.exitCode ??= came ? 0 : 1;
} catch (error) {
  if (!stopped.signal.aborted) throw error;
}
