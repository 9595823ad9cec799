/**
 * Takes over what Node and packages warn about (an SDK's notice of an old runtime, say), which else is printed to stderr
 * as it comes, into the operator's log of JSON lines or the answer of a command. One line, without what follows it.
 */
export function takeWarnings(tell: (warning: string) => void): void {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message }) => tell(`${name}: ${message.split('\n', 1)[0]}`));
}
