import type { Command } from 'commander';
import { addCommand, type Shell } from '../shell.ts';
import { addAdd } from './add.ts';
import { addLift } from './lift.ts';
import { addList } from './list.ts';
import { addRevoke } from './revoke.ts';

/** `lockdown add|list|lift|revoke`, for identities whose role has `lockdown: write`. */
export function addLockdown(program: Command, shell: Shell): void {
  const example = 'hallpass lockdown add --credential demo-secret --reason drill --for 1h';
  const group = addCommand(program, 'lockdown', 'the kill switch: stop issuing', example);
  addAdd(group, shell, example);
  addList(group, shell);
  addLift(group, shell);
  addRevoke(group, shell);
}
