// AWS Lambda behind an HTTP API or a function URL (payload format 2.0). Code outside the handler runs once for each
// instance. The client address comes from API Gateway, so no header needs to be trusted.
import { createGateway, type GatewayOptions } from 'juspay-customer-gateway';

/** The fields of `APIGatewayProxyEventV2` that are used here. */
export interface HttpEvent {
  readonly rawPath: string;
  readonly rawQueryString: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body?: string;
  readonly isBase64Encoded: boolean;
  readonly requestContext: { readonly http: { readonly method: string; readonly sourceIp: string } };
}

export function createHandler(options: GatewayOptions = {}) {
  const gateway = createGateway(options);
  return async (event: HttpEvent) => {
    const { method, sourceIp } = event.requestContext.http;
    const { body, isBase64Encoded, rawPath, rawQueryString } = event;
    const headers = Object.entries(event.headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as [string, string]],
    );
    const request = new Request(`https://lambda.invalid${rawPath}${rawQueryString && `?${rawQueryString}`}`, {
      method,
      headers,
      ...(body !== undefined && { body: isBase64Encoded ? Buffer.from(body, 'base64') : body }),
    });
    const response = await gateway.fetch(request, { clientAddress: sourceIp });
    return {
      statusCode: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    };
  };
}
