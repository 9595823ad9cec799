import { pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';
import { hmacSha256, sha256, toBase64 } from '../../lib/bytes.ts';

/** What RFC 7677 section 4 asks for, and some drivers take no less. */
const usualIterations = 4096;
const saltBytes = 16;

/**
 * What PostgreSQL keeps of a password (RFC 5803): given in its place, so that the server never sees the password, and
 * neither does its log.
 */
export async function scramVerifier(
  password: string,
  random: (bytes: number) => Uint8Array,
  iterations = usualIterations,
): Promise<string> {
  const salt = random(saltBytes);
  const salted = await promisify(pbkdf2)(password, salt, iterations, 32, 'sha256');
  const storedKey = sha256(hmacSha256(salted, 'Client Key'));
  const serverKey = hmacSha256(salted, 'Server Key');
  return `SCRAM-SHA-256$${iterations}:${toBase64(salt)}$${toBase64(storedKey)}:${toBase64(serverKey)}`;
}
