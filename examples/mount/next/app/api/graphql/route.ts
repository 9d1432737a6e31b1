// Next, a route handler. In next.config: `serverExternalPackages: ['juspay-customer-gateway']`, since a bundle would part
// the package from its files. Settings come from the environment here, as for the command.
import { createGateway } from 'juspay-customer-gateway';

const { fetch: handle } = createGateway({ environment: process.env, endpoint: '/api/graphql' });

// Next hands a handler a second argument, which is not for the gateway.
const answer = (request: Request) => handle(request);

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';
export { answer as GET, answer as OPTIONS, answer as POST };
