/** The fields of a customer: the provider's name, the name in GraphQL, the type. */
const fields = [
  ['id', 'id', 'ID!'],
  ['object_reference_id', 'objectReferenceId', 'String'],
  ['first_name', 'firstName', 'String'],
  ['last_name', 'lastName', 'String'],
  ['email_address', 'emailAddress', 'String'],
  ['mobile_number', 'mobileNumber', 'String'],
  ['mobile_country_code', 'mobileCountryCode', 'String'],
  ['date_created', 'dateCreated', 'DateTime'],
  ['last_updated', 'lastUpdated', 'DateTime'],
] as const;

/**
 * The configuration of Tailcall. Tailcall cannot ask for the token only if it is selected, and cannot compute how long a token is valid:
 * the workload decides the first, and the second is a constant. It has no field that reads each id of a list: `_entities` does this.
 */
export function tailcallConfig(options: { port: number; upstream: string; withToken: boolean }): string {
  const { port, upstream, withToken } = options;
  const headers = (id: string) =>
    `headers: [{key: "authorization", value: "Basic a2V5LW9mLXRoZS1iZW5jaDo="}, {key: "x-merchantid", value: "merchant"}, {key: "x-routing-id", value: "${id}"}]`;
  const query = withToken ? 'query: [{key: "options.get_client_auth_token", value: "true"}]' : '';
  const read = (id: string) => `@http(url: "${upstream}/customers/${id}" ${query} ${headers(id)} dedupe: true)`;
  const renamed = fields.map(([theirs, ours, type]) =>
    theirs === ours ? `${ours}: ${type}` : `${theirs}: ${type} @modify(name: "${ours}")`,
  );
  const form = fields.slice(1, 7).map(([theirs, ours]) => `${theirs}: "{{.args.input.${ours}}}"`);
  const created = fields.map(([theirs]) => `${theirs}: "{{.${theirs}}}"`);
  return `schema
  @server(port: ${port}, hostname: "127.0.0.1", enableFederation: true, workers: 1)
  @upstream(poolMaxIdlePerHost: 64, keepAliveTimeout: 60, tcpKeepAlive: 60) {
  query: Query
  mutation: Mutation
}
type Query {
  customer(id: ID!): Customer ${read('{{.args.id}}')}
}
type Mutation {
  createCustomer(input: CreateCustomerInput!): CreateCustomerResult
    @http(
      url: "${upstream}/customers"
      method: "POST"
      encoding: "ApplicationXWwwFormUrlencoded"
      ${headers('{{.args.input.objectReferenceId}}')}
      body: {${form.join(', ')}}
      select: {CreateCustomerSuccess: {origin: "CREATED", customer: {${created.join(', ')}}}}
    )
}
input CreateCustomerInput {
  objectReferenceId: String!
  mobileNumber: String!
  emailAddress: String!
  firstName: String
  lastName: String
  mobileCountryCode: String
}
enum CreateCustomerOrigin {
  CREATED
  RECONCILED
}
type CreateCustomerSuccess {
  customer: Customer! @expr(body: "{{.value.customer}}")
  origin: CreateCustomerOrigin!
}
union CreateCustomerResult = CreateCustomerSuccess
type ClientAuthToken {
  client_auth_token: String! @modify(name: "token")
  client_auth_token_expiry: DateTime! @modify(name: "expiresAt")
  expiresInSeconds: Int! @expr(body: 899)
}
type Customer ${read('{{.value.id}}')} {
  ${renamed.join('\n  ')}
  juspay: ClientAuthToken @modify(name: "clientAuthToken")
}
`;
}
