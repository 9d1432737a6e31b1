import { existsSync } from 'node:fs';

// Plain JavaScript of an old edition, so that an old Node can still read it and say what is missing.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isOld = major < 22 || (major === 22 && minor < 19);
// A checkout runs its TypeScript as it is, a package its build.
const isCheckout = existsSync(new URL('../src/cli/main.ts', import.meta.url));

/** One sentence about the Node that is needed; `undefined` where this one will do. */
export const problem =
  isOld || (isCheckout && !process.features.typescript)
    ? `customer-gateway needs Node 22.19 or newer (23.6 or newer of Node 23)${isCheckout ? ' that runs TypeScript' : ''}; this is ${process.version}.`
    : undefined;
