/** A customer in the format of the provider. */
export interface WireCustomer {
  readonly id: string;
  readonly object: 'customer';
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

const created = '2024-05-01T10:00:00Z';
const updated = '2024-06-11T08:30:15Z';
const tokenLifeMs = 15 * 60 * 1000;

/** The id of the n-th customer, in the format of the provider. */
export const idOf = (n: number): string => `cth_${n.toString(36).padStart(16, '0')}`;

/** The customer for an id. It is derived from the id, so that a client can check the response. */
export function customerAt(pathId: string, withToken: boolean): WireCustomer {
  const isProviderId = pathId.startsWith('cth_');
  const tail = pathId.slice(-16);
  return {
    id: isProviderId ? pathId : `cth_${tail.replace(/[^0-9a-zA-Z]/g, '0').padStart(16, '0')}`,
    object: 'customer',
    object_reference_id: isProviderId ? `reference-${tail}` : pathId,
    mobile_country_code: '91',
    mobile_number: '9812345678',
    email_address: `asha.${tail}@customers.example`,
    first_name: `Asha ${tail.slice(-4)}`,
    last_name: 'Raghunathan',
    date_created: created,
    last_updated: updated,
    ...(withToken && {
      juspay: {
        client_auth_token: `tkn_${tail}`,
        client_auth_token_expiry: new Date(Date.now() + tokenLifeMs).toISOString(),
      },
    }),
  };
}
