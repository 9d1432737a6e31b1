import type { Sandbox } from './sandbox.ts';

/**
 * The output of `npm start` with the embedded sandbox.
 *
 * @param options.url of the endpoint, with its path.
 */
export function gatewayBanner(
  sandbox: Sandbox,
  { url, metricsUrl, graphiql }: { url: string; metricsUrl: string | undefined; graphiql: boolean },
): string[] {
  return [
    '',
    '  customer-gateway is running on an embedded sandbox: no account, no real customers.',
    '',
    `  ${graphiql ? 'GraphiQL' : 'GraphQL '}  ${url}`,
    `  Sandbox   ${sandbox.url}   (faults and calls: ${sandbox.url}/__admin)`,
    ...(metricsUrl === undefined ? [] : [`  Metrics   ${metricsUrl}`]),
    '',
    ...customersOf(sandbox),
    '',
    '  Magic ids   fault_429  fault_timeout  fault_html  fault_500  fault_503_once …  (list: /__admin)',
    '',
    '  With real credentials set   JUSPAY_API_KEY, JUSPAY_MERCHANT_ID, JUSPAY_BASE_URL, AUTH_MODE',
    '  All settings                npx customer-gateway --help',
    '',
    '  Ctrl-C stops.',
    '',
  ];
}

/** The output of `npm run sandbox`. */
export function sandboxBanner(sandbox: Sandbox): string[] {
  const [first] = sandbox.customers;
  return [
    '',
    "  The sandbox, a stand-in for the provider's customer API, is running.",
    '',
    `  JUSPAY_BASE_URL     ${sandbox.url}`,
    `  JUSPAY_MERCHANT_ID  ${sandbox.merchantId}`,
    `  JUSPAY_API_KEY      ${sandbox.apiKey}`,
    `  Admin               ${sandbox.url}/__admin`,
    '',
    ...customersOf(sandbox),
    '',
    `  Try   curl -u ${sandbox.apiKey}: ${sandbox.url}/customers/${first?.id ?? ''}`,
    '',
    '  Ctrl-C stops.',
    '',
  ];
}

function customersOf(sandbox: Sandbox): string[] {
  const rows = sandbox.customers.map(({ id, objectReferenceId, firstName, lastName }) => [
    id,
    objectReferenceId,
    [firstName, lastName].filter(Boolean).join(' ') || '(no name)',
  ]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return [
    '  Customers',
    ...rows.map(
      ([id = '', reference = '', name = '']) => `    ${id.padEnd(width(0))}  ${reference.padEnd(width(1))}  ${name}`,
    ),
  ];
}
