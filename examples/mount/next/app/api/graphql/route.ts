// A Next route handler. Set `serverExternalPackages: ['juspay-customer-gateway']` in next.config, because the package
// reads its own files and must not be bundled. Settings come from the environment, as for the command.
import { createGateway } from 'juspay-customer-gateway';

const { fetch: handle } = createGateway({ environment: process.env, endpoint: '/api/graphql' });

// Next passes a second argument, which the gateway must not receive.
const answer = (request: Request) => handle(request);

export const runtime = 'nodejs';
export const dynamic = 'force-dynamic';
export { answer as GET, answer as OPTIONS, answer as POST };
