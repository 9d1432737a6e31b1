import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { signToken } from '../auth/jwt.ts';
import { Secret } from '../config/secret.ts';

/** Says what is missing. */
export class TokenUsageError extends Error {}

/** Callers to play with in GraphiQL: tokens signed by a key that this process made, and that ends with it. */
export async function playRoles(customer: string) {
  const secret = new Secret(randomBytes(32).toString('base64url'));
  const common = { secret, issuer: 'embedded-sandbox', audience: 'embedded-sandbox', lifeMinutes: 24 * 60 };
  const all = 'customer:read customer:write customer:token';
  const roles: Record<string, Record<string, string>> = {
    BoundCustomer: { scope: all, customer },
    Unbound: { scope: `${all} customer:any` },
    ReadOnly: { scope: 'customer:read customer:any' },
  };
  const tokens = await Promise.all(
    Object.entries(roles).map(
      async ([role, claims]) => [role, await signToken({ ...common, subject: role, claims })] as const,
    ),
  );
  const { issuer, audience } = common;
  const jwt = {
    issuer,
    audience,
    keys: { secret },
    merchantClaim: 'merchant_id',
    customerClaim: 'customer',
    audienceClaim: 'aud',
  };
  return {
    tokens: Object.fromEntries(tokens),
    auth: { modes: ['jwt'] as const, jwt, apiKeysFile: undefined, optional: true },
  };
}

/**
 * A token that a gateway with the same `AUTH_JWT_…` settings takes.
 *
 * @throws TokenUsageError with a sentence.
 */
export async function makeToken(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  const { AUTH_JWT_SECRET: given, AUTH_JWT_ISSUER: issuer, AUTH_JWT_AUDIENCE: audience } = environment;
  if (!given || !issuer || !audience) {
    throw new TokenUsageError(
      '`token` needs AUTH_JWT_SECRET, AUTH_JWT_ISSUER and AUTH_JWT_AUDIENCE, as the gateway has them.',
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
    if (!(lifeMinutes >= 1 && lifeMinutes <= 1440)) throw new TokenUsageError('--minutes is a number from 1 to 1440.');
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
