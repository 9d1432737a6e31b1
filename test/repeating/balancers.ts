import { startLoadBalancer } from '../proxies.ts';
import { post } from './clients/fetch.ts';
import type { Program } from './programs.ts';
import { headersOf } from './world.ts';

/** Settings of `deploy/` that are replaced, with their replacements. */
type Changes = readonly (readonly [string, string])[];

/** Each failure leads to a repeat, and not to an instance out of use. */
const nginxOnce: Changes = [['max_fails=1 fail_timeout=1s', 'max_fails=0']];
/** Also sends a request again that may have been executed. */
const nginx: Changes = [
  ...nginxOnce,
  ['proxy_next_upstream error timeout;', 'proxy_next_upstream error timeout non_idempotent;'],
];
const haproxy: Changes = [['retry-on conn-failure', 'retry-on all-retryable-errors']];
const changes = { nginxOnce, nginx, haproxy } as const;
const commands = { nginxOnce: 'nginx', nginx: 'nginx', haproxy: 'haproxy' } as const;

/** A load balancer over two instances. Persons send once, with `fetch`. */
export function balanced(name: string, version: () => string, balancer: keyof typeof changes): Program {
  return {
    name,
    version,
    instances: 2,
    async open({ networks }) {
      const [one, other] = networks.map(({ port }) => port);
      const edit = (text: string) =>
        changes[balancer].reduce((edited, [from, to]) => {
          if (!edited.includes(from)) throw new Error(`deploy/${commands[balancer]} has no ${from}`);
          return edited.replaceAll(from, to);
        }, text);
      const { port, close } = await startLoadBalancer(commands[balancer], [one ?? 0, other ?? 0], edit);
      const url = `http://127.0.0.1:${port}/graphql`;
      return {
        clientOf: (person) => ({
          mutate: (mutation) => post({ url, headers: headersOf(person) }, mutation).catch(() => ({})),
        }),
        close,
      };
    },
  };
}
