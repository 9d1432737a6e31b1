import { type Bench, median } from './compare.ts';
import { bodyOf, firstAnswer, type ServerName, type ServerOptions, servers, startServer } from './servers.ts';
import { fill, workloads } from './workloads.ts';

/** Time from the start of the process to the first response, by the title of the command. */
export type StartTimes = Readonly<Record<string, number>>;

const pauseMs = 2;
/** Not a customer that a workload reads. */
const number = 1;

/** Measures the start of servers, interleaved, and returns medians in ms. */
export async function measureStarts(bench: Bench, names: readonly ServerName[], rounds: number): Promise<StartTimes> {
  const workload = workloads.W1;
  await bench.upstream.delay(0);
  const commands = names.flatMap((name): { title: string; name: ServerName; options: Partial<ServerOptions> }[] => {
    if (name !== 'gateway') return [{ title: servers[name].title, name, options: {} }];
    return [
      { title: 'this gateway, the npm package', name, options: {} },
      { title: 'this gateway, `npm start` in a checkout', name, options: { command: ['npm', 'start', '--silent'] } },
    ];
  });
  const times = new Map<string, number[]>(commands.map(({ title }) => [title, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { title, name, options } of commands) {
      const startedAt = performance.now();
      const settings = { folder: bench.folder, upstream: bench.upstream.origin, withToken: true, ...options };
      const server = await startServer(name, settings);
      await firstAnswer(server, fill(bodyOf(name, workload), number, workload.stride), pauseMs);
      times.get(title)?.push(performance.now() - startedAt);
      await server.stop();
    }
  }
  return Object.fromEntries([...times].map(([title, values]) => [title, median(values)]));
}
