// Express has no types of its own (`@types/express` has them). This file declares what the examples use.
declare module 'express' {
  import type { RequestListener } from 'node:http';

  interface Router extends RequestListener {
    use(path: string, ...handlers: RequestListener[]): this;
    use(...handlers: RequestListener[]): this;
  }
  interface Express {
    (): Router;
    Router(): Router;
    json(options?: { limit?: string; type?: string }): RequestListener;
  }
  const express: Express;
  export = express;
}
