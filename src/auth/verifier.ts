import type { Caller } from './caller.ts';
import type { JwtOptions } from './jwt.ts';
import { createKeySet } from './key-set.ts';

export interface JwtVerifier {
  /**
   * Verifies a token and reads its caller.
   *
   * @throws CredentialRefused if the token is not accepted.
   * @throws KeysUnavailable if the key set cannot be read and the key of this token is unknown.
   */
  verify(token: string): Promise<Caller>;
  /** Whether tokens can be verified. With a key set, `true` after the first successful fetch. */
  isReady(): boolean;
  dispose(): void;
}

export function createJwtVerifier(options: JwtOptions): JwtVerifier {
  const { keys } = options;
  const keySet = 'url' in keys ? createKeySet({ ...options, url: keys.url }) : undefined;
  // Loads jose in the background: only tokens need it, and its modules take 6 % of the time to start.
  const loading = import('./jwt.ts');
  // Each verification reports a failure.
  loading.catch(() => undefined);
  return {
    async verify(token) {
      const { verifyToken } = await loading;
      return verifyToken(token, keySet, options);
    },
    isReady: () => keySet?.isRead() ?? true,
    dispose: () => keySet?.dispose(),
  };
}
