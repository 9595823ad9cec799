import type { Alias, CST, Document, Node } from 'yaml';
// Statically: a bundler gives a CommonJS package's import() no named members. This file is itself loaded when used.
import * as yaml from 'yaml';
import type { Json } from '../../lib/strict-json.ts';
import type { Spot } from './source.ts';

/** A parsed value together with where it stands; `key` is where its name stands, when it has one. */
export interface Located {
  readonly value: Json;
  readonly at: number;
  readonly key?: number;
  readonly inner?: ReadonlyMap<string | number, Located>;
}

const maxDepth = 24;
const maxNodes = 50_000;
const maxSpots = 50;

const messages: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'this alias cannot be used here',
  BAD_INDENT: 'the indentation is wrong here, or a closing } or ] is missing before it',
  BAD_SCALAR_START: 'a plain text cannot begin like this; quote it',
  BLOCK_AS_IMPLICIT_KEY: 'the mapping is broken here; is a text with ": " in need of quotes?',
  MISSING_CHAR: 'a closing quote, bracket or separator is missing here',
  MULTILINE_IMPLICIT_KEY: 'a name stands on one line and is followed by ":"',
  NON_STRING_KEY: 'a name must be a string',
  RESOURCE_EXHAUSTION: 'nested too deep',
  TAB_AS_INDENT: 'indent with spaces, not tabs',
};

const quoted = `within { } and [ ] a text with \${NAME} stands in quotes`;

/**
 * Reads one YAML 1.2 document (core schema) as JSON values with positions. Custom tags, other YAML versions, names
 * that are no strings, duplicate names, endless aliases, non-finite or inexact numbers are refused.
 */
export async function readYaml(text: string): Promise<{ root?: Located; spots: readonly Spot[] }> {
  const tokens = [...new yaml.Parser().parse(text)];
  const deep = tooDeep(tokens);
  if (deep !== undefined) return { spots: [{ at: deep, message: `nested deeper than ${maxDepth}` }] };
  const composer = new yaml.Composer({
    version: '1.2',
    schema: 'core',
    strict: true,
    stringKeys: true,
    // Its own check compares all pairs, which takes minutes for a large mapping; ours is below.
    uniqueKeys: false,
    merge: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const documents: Document.Parsed[] = [...composer.compose(tokens)];
  const [document, second] = documents;
  const spots: Spot[] = [];
  const spot = (at: number, message: string, hint?: string) => {
    if (spots.length < maxSpots && !spots.some((other) => other.at === at))
      spots.push({ at, message, ...(hint === undefined ? {} : { hint }) });
  };
  if (document === undefined) return { spots };
  let lost = -1;
  for (const {
    code,
    pos: [at],
  } of document.errors) {
    const known = messages[code];
    // Whoever reads on in a line that is not understood finds fault with every word of it.
    const line = text.lastIndexOf('\n', at - 1);
    if (known === undefined && line === lost) continue;
    if (known === undefined) lost = line;
    const hint = known === undefined && text.slice(line + 1, at + 2).includes('${') ? quoted : undefined;
    spot(at, known ?? 'this is not valid YAML', hint);
  }
  for (const { code, pos } of document.warnings)
    spot(pos[0], code === 'TAG_RESOLVE_FAILED' ? 'tags are not supported' : 'this is not valid YAML 1.2');
  if (second !== undefined)
    spot(second.contents?.range?.[0] ?? second.range[0], 'one document only', 'remove the --- separator');
  const { explicit, version } = document.directives?.yaml ?? {};
  if (explicit === true && version !== '1.2') spot(0, 'YAML 1.2 only', 'remove the %YAML directive');
  if (spots.length > 0) return { spots };

  const targets = targetsIn(document);
  let nodes = 0;
  const locate = (node: Node | null | undefined, at: number, depth: number, key?: number): Located => {
    const here = { at: node?.range?.[0] ?? at, ...(key === undefined ? {} : { key }) };
    nodes++;
    if (nodes > maxNodes || depth > maxDepth) {
      spot(
        here.at,
        depth > maxDepth ? `nested deeper than ${maxDepth}` : `more than ${maxNodes} values`,
        'are aliases repeated?',
      );
      return { ...here, value: null };
    }
    if (yaml.isAlias(node)) {
      const target = targets.get(node);
      if (target === undefined) spot(here.at, `there is no anchor of this name before the alias`);
      return { ...locate(target, here.at, depth + 1, key), ...here };
    }
    if (node?.tag !== undefined && !coreTags.has(node.tag)) spot(here.at, 'tags are not supported');
    if (yaml.isMap(node)) {
      const inner = new Map<string, Located>();
      for (const pair of node.items) {
        const name = pair.key as Node;
        const nameAt = name.range?.[0] ?? here.at;
        if (!yaml.isScalar(name) || typeof name.value !== 'string') spot(nameAt, 'a name must be a string');
        else if (inner.has(name.value)) spot(nameAt, 'this name is here twice');
        else if (!name.value.isWellFormed()) spot(nameAt, 'this name is not valid Unicode');
        else inner.set(name.value, locate(pair.value as Node | null, nameAt, depth + 1, nameAt));
        if (nodes > maxNodes) break;
      }
      return { ...here, inner, value: Object.fromEntries([...inner].map(([name, { value }]) => [name, value])) };
    }
    if (yaml.isSeq(node)) {
      const items: Located[] = [];
      for (const item of node.items) {
        items.push(locate(item as Node | null, here.at, depth + 1));
        if (nodes > maxNodes) break;
      }
      return { ...here, inner: new Map(items.entries()), value: items.map(({ value }) => value) };
    }
    return {
      ...here,
      value: scalar(yaml.isScalar(node) ? node.value : null, (message, hint) => spot(here.at, message, hint)),
    };
  };
  const root = locate(document.contents, 0, 0);
  return spots.length > 0 ? { spots } : { root, spots };
}

const coreTags: ReadonlySet<string> = new Set(
  ['map', 'seq', 'str', 'int', 'float', 'bool', 'null'].map((name) => `tag:yaml.org,2002:${name}`),
);

/** What each alias stands for, found in one walk: the library's own `resolve` takes one for each alias. */
function targetsIn(document: Document.Parsed): ReadonlyMap<Alias, Node> {
  const targets = new Map<Alias, Node>();
  const anchors = new Map<string, Node>();
  yaml.visit(document, {
    Node(_, node) {
      const target = yaml.isAlias(node) ? anchors.get(node.source) : undefined;
      if (target !== undefined) targets.set(node as Alias, target);
      if (!yaml.isAlias(node) && node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return targets;
}

// Looked at before anything is composed: composing recurses, and a stack that ends inside a RegExp ends the process.
function tooDeep(tokens: readonly CST.Token[]): number | undefined {
  const open: (readonly [CST.Token | null | undefined, number])[] = tokens.map((token) => [token, 0]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (depth > maxDepth) return token?.offset ?? 0;
    if (token?.type === 'document') open.push([token.value, depth]);
    else if (token && 'items' in token)
      for (const { key, value } of token.items) open.push([key, depth + 1], [value, depth + 1]);
  }
  return undefined;
}

function scalar(value: unknown, spot: (message: string, hint?: string) => void): Json {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    const exact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
    if (!exact) spot('this number is too large to be exact', 'quote it if it is an id');
    return exact ? value : null;
  }
  if (typeof value === 'string' && value.isWellFormed()) return value;
  spot('this value is not supported');
  return null;
}
