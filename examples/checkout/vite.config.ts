import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Content security policy of the built page: own origin only. Development mode has inline scripts of Vite, so it has no policy. */
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

/** `start.ts` configures the targets of `/graphql` and `/session`. */
export default defineConfig({
  root: import.meta.dirname,
  cacheDir: '../../.cache/example-checkout',
  plugins: [react(), policy],
  build: { target: 'es2022' },
});
