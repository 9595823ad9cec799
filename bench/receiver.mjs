// What copies are sent to in bench/sinks.mjs: takes every call, or with `down` refuses it. Prints its URL.
import { createServer } from 'node:http';

const status = process.argv[2] === 'down' ? 503 : 204;
let bytes = 0;
const server = createServer((request, response) => {
  request.on('data', (part) => {
    bytes += part.length;
  });
  request.on('end', () => response.writeHead(status, { 'x-bytes': String(bytes) }).end());
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
