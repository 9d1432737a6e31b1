// Pictures of all that people see, into `screenshots/` (not in git): the browser tests take them on their way.
import { rmSync } from 'node:fs';

rmSync('screenshots', { recursive: true, force: true });
process.env.SCREENSHOTS = '1';
process.argv.splice(2, Infinity, 'test/browser.test.ts', 'test/example-checkout.test.ts');
await import('./test.js');
