import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** The built page runs its own files and talks to its own origin only. Not in development: Vite's own scripts stand in the page there. */
const policy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    {
      tag: 'meta',
      injectTo: 'head-prepend',
      attrs: {
        'http-equiv': 'Content-Security-Policy',
        content:
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'",
      },
    },
  ],
};

/** Where `/graphql` and `/session` lead is said by whoever starts it: see `start.ts`. */
export default defineConfig({
  root: import.meta.dirname,
  cacheDir: '../../.cache/example-checkout',
  plugins: [react(), policy],
  build: { target: 'es2022' },
});
