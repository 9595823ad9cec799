// In place of two packages by which libsql finds out which of its binaries fits here: they ask for a whole diagnostic report
// of the process, which takes longer than opening the database. What `ldd` is says the same.
const { readFileSync } = require('node:fs');

const GLIBC = 'glibc';
const MUSL = 'musl';
const windows = { x64: 'win32-x64-msvc' };

let family;
/** Asked for more than once. */
function familySync() {
  family ??= look();
  return family;
}

function look() {
  if (process.platform !== 'linux') return null;
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl') ? MUSL : GLIBC;
  } catch {
    return process.report.getReport().header.glibcVersionRuntime === undefined ? MUSL : GLIBC;
  }
}

function currentTarget() {
  const { platform, arch } = process;
  if (platform === 'win32') return windows[arch];
  // libsql itself makes the musl one of it.
  if (platform === 'linux' && arch === 'arm') return 'linux-arm-gnueabihf';
  return platform === 'linux' ? `linux-${arch}-${familySync() === MUSL ? 'musl' : 'gnu'}` : `${platform}-${arch}`;
}

module.exports = { currentTarget, familySync, GLIBC, MUSL };
