// Runs the browser tests and saves their screenshots in `screenshots/`, which git ignores.
import { rmSync } from 'node:fs';

rmSync('screenshots', { recursive: true, force: true });
process.env.SCREENSHOTS = '1';
process.argv.splice(2, Infinity, 'test/browser.test.ts', 'test/example-checkout.test.ts');
await import('./test.js');
