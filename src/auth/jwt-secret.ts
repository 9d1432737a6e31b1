import type { Config } from '../config/config.ts';

/** Holds the current shared secret for JWTs, which a reload can replace. */
export function createSecretHolder({ auth }: Pick<Config, 'auth'>) {
  const { jwt } = auth;
  if (jwt === undefined || !('secret' in jwt.keys)) return { auth, replace: () => undefined };
  let { secret } = jwt.keys;
  return {
    auth: { ...auth, jwt: { ...jwt, keys: { secret: { reveal: () => secret.reveal() } } } },
    replace(next: Config): void {
      const { keys } = next.auth.jwt ?? {};
      if (keys !== undefined && 'secret' in keys) secret = keys.secret;
    },
  };
}
