/** Backticks quote a name whatever the server's sql_mode is. */
export const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

export const quotedAccount = (name: string, from: string): string => `${quoted(name)}@${quoted(from)}`;

/** A text to compare with, as bytes: a quote or a backslash in it has nothing to say. */
export const literal = (text: string): string => `x'${Buffer.from(text).toString('hex')}'`;
