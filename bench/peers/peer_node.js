// SPDX-License-Identifier: MIT
// Node's HTTP server with one handler. Ends on SIGTERM.
const http = require('http');

const server = http.createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
    response.end('Hello, World!');
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => {
    console.log(`listening on 127.0.0.1:${server.address().port} engine=node pid=${process.pid}`);
});
process.on('SIGTERM', () => process.exit(0));
