// Imported before a subgraph of the suite. Makes the subgraph listen on a free loopback port, which it prints.
import { Server } from 'node:net';

const { listen } = Server.prototype;
Server.prototype.listen = function (_options, whenListening) {
  return listen.call(this, { port: 0, host: '127.0.0.1' }, whenListening);
};
