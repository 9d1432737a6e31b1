// Fails with a message if this Node is not supported. Run it before a script that such a Node cannot parse.
import { problem } from '../bin/node-version.js';

if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
