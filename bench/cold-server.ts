import { start } from '../functions/node.ts';

const { url } = await start();
console.log(JSON.stringify({ event: 'listening', url }));
