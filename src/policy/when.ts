import { Environment } from '@marcbachmann/cel-js';
import type { Identity } from '../lib/identity.ts';
import { type Facts, factsOf } from './facts.ts';

/** A compiled `when`. Never throws: an error while evaluating, or a value that is not `true`, denies. */
export type When = (identity: Identity) => boolean;

export type CompiledWhen = { readonly when: When } | { readonly fault: string; readonly hint?: string };

// Together with the token's 16 KiB these bound what one evaluation can cost, whatever the workload puts into it.
const limits = { maxAstNodes: 128, maxDepth: 24, maxListElements: 256, maxMapEntries: 256, maxCallArguments: 4 };

const functions = new Set(['has', 'size', 'int', 'double', 'string']);
const loops = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
const methods = new Set(['startsWith', 'endsWith', 'contains', 'size', ...loops]);

const environment = new Environment({ limits })
  .registerVariable('claims', 'map', { description: 'the whole verified payload' })
  .registerVariable('subject', 'string', { description: 'the sub of the token' })
  .registerVariable('issuer', 'string', { description: "the issuer's name in the config" });

/**
 * Compiles a CEL condition over `claims`, `subject` and `issuer`. Checked here: its syntax, its types, that it is a
 * boolean where that can be known, and its shape (see structureFault). A JSON number is a CEL double: it compares with
 * an int literal (`claims.n == 1`), but arithmetic needs `int(claims.n) + 1`.
 */
export function compileWhen(text: string): CompiledWhen {
  try {
    const program = environment.parse(text);
    const structure = structureFault(program.ast as unknown as Node);
    if (structure !== undefined) return structure;
    const checked = program.check();
    if (!checked.valid) return { fault: summary(checked.error) };
    if (checked.type !== 'bool' && !checked.type?.startsWith('dyn')) {
      return { fault: `is a ${checked.type}, not a bool`, hint: 'compare it with something' };
    }
    return { when: (identity) => isTrue(program, identity) };
  } catch (error) {
    return { fault: summary(error) };
  }
}

function isTrue(program: (context: Facts) => unknown, identity: Identity): boolean {
  try {
    return program(factsOf(identity)) === true;
  } catch {
    return false;
  }
}

interface Node {
  readonly op: string;
  readonly args: unknown;
}

type Fault = { fault: string; hint?: string };

/**
 * What CEL would allow and a policy must not: regular expressions (they backtrack), a loop in a loop, and whatever
 * makes a loop cost more than the token is long. `loop` is the variable of the loop that the node is in: what costs by
 * length is done to that variable only, as all its values together are no longer than the token.
 */
function structureFault(node: Node, loop?: string): Fault | undefined {
  if (node.op === 'rcall') return methodFault(node.args as [string, Node, Node[]], loop);
  if (node.op === 'call') {
    const [name, args] = node.args as [string, Node[]];
    if (!functions.has(name)) return unavailable(name);
    if (loop !== undefined && name !== 'has' && !isOf(args[0], loop)) return outside(name, loop);
  }
  if (loop !== undefined && comparisons.has(node.op)) {
    const [left, right] = node.args as [Node, Node];
    const cheap = (side: Node) => side.op === 'value' || isOf(side, loop);
    if (!cheap(left) && !cheap(right)) return outside(node.op, loop);
  }
  if (loop !== undefined && node.op === 'in' && (node.args as Node[])[1]?.op !== 'list') {
    return { fault: 'inside a loop, in needs a written list', hint: 'such as x in ["a", "b"]' };
  }
  return firstFault(childrenOf(node.args), loop);
}

function methodFault([name, receiver, args]: [string, Node, Node[]], loop?: string): Fault | undefined {
  if (!methods.has(name)) return unavailable(name);
  if (name === 'contains' && (args[0]?.op !== 'value' || typeof args[0].args !== 'string')) {
    return { fault: 'contains takes a written text', hint: 'compare claims with ==' };
  }
  if (!loops.has(name)) {
    const byLength = name === 'contains' || name === 'size';
    if (loop !== undefined && byLength && !isOf(receiver, loop)) return outside(name, loop);
    return firstFault([receiver, ...args], loop);
  }
  if (loop !== undefined) return { fault: `${name} inside another loop`, hint: 'loops go one deep' };
  if (grows(receiver)) return { fault: `${name} over a list that was made`, hint: 'loop over the claim itself' };
  const [variable, ...body] = args;
  return structureFault(receiver) ?? firstFault(body, variable?.args as string);
}

function firstFault(nodes: readonly Node[], loop?: string): Fault | undefined {
  for (const node of nodes) {
    const fault = structureFault(node, loop);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const comparisons = new Set(['==', '!=', '<', '<=', '>', '>=']);

function isOf(node: Node | undefined, variable: string): boolean {
  if (node?.op === '.' || node?.op === '[]') return isOf((node.args as Node[])[0], variable);
  return node?.op === 'id' && node.args === variable;
}

const outside = (what: string, loop: string): Fault => ({
  fault: `inside a loop, ${what} is for ${loop} only`,
  hint: 'move what does not change out of the loop',
});

const grows = (node: Node): boolean =>
  node.op === '+' || (node.op === 'rcall' && (node.args as [string])[0] === 'map') || childrenOf(node.args).some(grows);

function childrenOf(args: unknown): Node[] {
  if (Array.isArray(args)) return args.flatMap(childrenOf);
  return typeof args === 'object' && args !== null && 'op' in args ? [args as Node] : [];
}

function unavailable(name: string) {
  const hint = `there is ${[...functions, ...methods].join(', ')}`;
  return {
    fault: `${name} is not available`,
    hint: name === 'matches' ? 'no regular expressions; use startsWith' : hint,
  };
}

function summary(error: unknown): string {
  const { summary: text, range } = error as { summary?: string; range?: { start: number } };
  return range === undefined ? (text ?? 'is not CEL') : `${text} (at character ${range.start + 1})`;
}
