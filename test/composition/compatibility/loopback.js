// Loaded before a subgraph of the suite: it listens on this machine only, on a free port, and tells which.
import { Server } from 'node:net';

const { listen } = Server.prototype;
Server.prototype.listen = function (_options, whenListening) {
  return listen.call(this, { port: 0, host: '127.0.0.1' }, whenListening);
};
