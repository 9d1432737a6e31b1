import { existsSync } from 'node:fs';

// Uses old syntax only, so that an old Node can parse it and report which version is required.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isOld = major < 22 || (major === 22 && minor < 19);
// A checkout runs TypeScript; an installed package runs its build.
const isCheckout = existsSync(new URL('../src/cli/main.ts', import.meta.url));

/** An error message if this Node is not supported; otherwise `undefined`. */
export const problem =
  isOld || (isCheckout && !process.features.typescript)
    ? `customer-gateway needs Node 22.19 or newer (23.6 or newer of Node 23)${isCheckout ? ' that runs TypeScript' : ''}; this is ${process.version}.`
    : undefined;
