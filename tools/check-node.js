// Says in one sentence which Node is needed, before a script fails with the stack trace of one that is too old.
import { problem } from '../bin/node-version.js';

if (problem !== undefined) {
  console.error(problem);
  process.exit(1);
}
