import { Pool } from 'undici';

/** A customer in the format of the provider. */
export interface WireCustomer {
  readonly id: string;
  readonly object_reference_id: string;
  readonly mobile_country_code: string;
  readonly mobile_number: string;
  readonly email_address: string;
  readonly first_name: string;
  readonly last_name: string;
  readonly date_created: string;
  readonly last_updated: string;
  readonly juspay?: { readonly client_auth_token: string; readonly client_auth_token_expiry: string };
}

/** The provider client that all peers share. `limit` does this work only, without GraphQL. */
export interface Customer {
  readonly id: string;
  readonly objectReferenceId: string | null;
  readonly firstName: string | null;
  readonly lastName: string | null;
  readonly emailAddress: string | null;
  readonly mobileNumber: string | null;
  readonly mobileCountryCode: string | null;
  readonly dateCreated: string | null;
  readonly lastUpdated: string | null;
  readonly clientAuthToken: ClientAuthToken | null;
}

export interface ClientAuthToken {
  readonly token: string;
  readonly expiresAt: string;
  readonly expiresInSeconds: number;
}

export interface NewCustomer {
  readonly objectReferenceId: string;
  readonly mobileNumber: string;
  readonly emailAddress: string;
  readonly firstName?: string | null | undefined;
  readonly lastName?: string | null | undefined;
  readonly mobileCountryCode?: string | null | undefined;
}

export const tokenOption = 'options.get_client_auth_token';

export function environment(): { port: number; upstream: string; connections: number } {
  const { PORT, UPSTREAM, CONNECTIONS } = process.env;
  if (!PORT || !UPSTREAM) throw new Error('PORT and UPSTREAM must be set');
  return { port: Number(PORT), upstream: UPSTREAM, connections: Number(CONNECTIONS ?? 64) };
}

const authorization = `Basic ${Buffer.from('key-of-the-bench:').toString('base64')}`;

export function headersFor(routingId: string): Record<string, string> {
  return {
    accept: 'application/json',
    authorization,
    'x-merchantid': 'merchant',
    'x-routing-id': encodeURIComponent(routingId),
  };
}

export function toCustomer(wire: WireCustomer): Customer {
  return {
    id: wire.id,
    objectReferenceId: wire.object_reference_id,
    firstName: wire.first_name,
    lastName: wire.last_name,
    emailAddress: wire.email_address,
    mobileNumber: wire.mobile_number,
    mobileCountryCode: wire.mobile_country_code,
    dateCreated: wire.date_created,
    lastUpdated: wire.last_updated,
    clientAuthToken: wire.juspay
      ? {
          token: wire.juspay.client_auth_token,
          expiresAt: wire.juspay.client_auth_token_expiry,
          expiresInSeconds: Math.max(
            0,
            Math.floor((Date.parse(wire.juspay.client_auth_token_expiry) - Date.now()) / 1000),
          ),
        }
      : null,
  };
}

export function toForm(input: NewCustomer, withToken: boolean): string {
  const form = new URLSearchParams({
    object_reference_id: input.objectReferenceId,
    mobile_number: input.mobileNumber,
    email_address: input.emailAddress,
  });
  if (input.firstName) form.append('first_name', input.firstName);
  if (input.lastName) form.append('last_name', input.lastName);
  if (input.mobileCountryCode) form.append('mobile_country_code', input.mobileCountryCode);
  if (withToken) form.append(tokenOption, 'true');
  return form.toString();
}

export function createJuspay({ upstream, connections }: { upstream: string; connections: number }) {
  const pool = new Pool(upstream, { connections });

  return {
    async get(id: string, withToken: boolean): Promise<Customer | null> {
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: `/customers/${encodeURIComponent(id)}${withToken ? `?${tokenOption}=true` : ''}`,
        headers: headersFor(id),
      });
      return readResponse(statusCode, body);
    },
    async create(input: NewCustomer, withToken: boolean): Promise<Customer | null> {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: '/customers',
        headers: { ...headersFor(input.objectReferenceId), 'content-type': 'application/x-www-form-urlencoded' },
        body: toForm(input, withToken),
      });
      return readResponse(statusCode, body);
    },
  };
}

async function readResponse(
  status: number,
  body: { json(): Promise<unknown>; dump(): Promise<void> },
): Promise<Customer | null> {
  if (status === 200) return toCustomer((await body.json()) as WireCustomer);
  await body.dump();
  if (status === 404) return null;
  throw new Error(`the provider responded with status ${status}`);
}
