import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { signToken } from '../auth/jwt.ts';
import { Secret } from '../config/secret.ts';

/** Invalid options or settings of the command `token`. */
export class TokenUsageError extends Error {}

const roleIssuer = { issuer: 'embedded-sandbox', audience: 'embedded-sandbox' } as const;

/** Creates example tokens for GraphiQL, signed with a random key of this process. */
export async function createRoles(customer: string) {
  const secret = new Secret(randomBytes(32).toString('base64url'));
  const common = { secret, ...roleIssuer, lifeMinutes: 24 * 60 };
  const all = 'customer:read customer:write customer:token gateway:explain';
  const roles: Record<string, Record<string, string>> = {
    BoundCustomer: { scope: all, customer },
    Unbound: { scope: `${all} customer:any` },
    ReadOnly: { scope: 'customer:read gateway:explain customer:any' },
  };
  const tokens = await Promise.all(
    Object.entries(roles).map(
      async ([role, claims]) => [role, await signToken({ ...common, subject: role, claims })] as const,
    ),
  );
  return { tokens: Object.fromEntries(tokens), secret, auth: authOfRoles(secret) };
}

/** The authentication that accepts the tokens of {@link createRoles}. */
export function authOfRoles(secret: Secret) {
  const jwt = {
    ...roleIssuer,
    keys: { secret },
    merchantClaim: 'merchant_id',
    customerClaim: 'customer',
    audienceClaim: 'aud',
  };
  return { modes: ['jwt'] as const, jwt, apiKeysFile: undefined, optional: true };
}

/**
 * Creates a token that a gateway with the same `AUTH_JWT_…` settings accepts.
 *
 * @throws TokenUsageError for invalid options or missing settings.
 */
export async function makeToken(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const { AUTH_JWT_SECRET: given, AUTH_JWT_ISSUER: issuer, AUTH_JWT_AUDIENCE: audience } = environment;
  if (!given || !issuer || !audience) {
    throw new TokenUsageError(
      '`token` needs AUTH_JWT_SECRET, AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE, with the same values as the gateway.',
    );
  }
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        sub: { type: 'string', default: 'developer' },
        scope: { type: 'string', default: 'customer:read customer:write customer:token' },
        customer: { type: 'string' },
        merchant: { type: 'string' },
        minutes: { type: 'string', default: '60' },
      },
    });
    const lifeMinutes = Number(values.minutes);
    if (!(lifeMinutes >= 1 && lifeMinutes <= 1440))
      throw new TokenUsageError('--minutes must be a number from 1 to 1440.');
    const claims = {
      scope: values.customer === undefined ? `${values.scope} customer:any` : values.scope,
      [environment['AUTH_AUDIENCE_CLAIM'] || 'aud']: audience,
      ...(values.customer !== undefined && { [environment['AUTH_CUSTOMER_CLAIM'] || 'customer']: values.customer }),
      ...(values.merchant !== undefined && { [environment['AUTH_MERCHANT_CLAIM'] || 'merchant_id']: values.merchant }),
    };
    const secret = new Secret(given);
    return await signToken({ secret, issuer, audience, subject: values.sub, lifeMinutes, claims });
  } catch (error) {
    if (error instanceof TokenUsageError) throw error;
    throw new TokenUsageError('Options of `token`: --sub, --scope, --customer, --merchant, --minutes.');
  }
}
