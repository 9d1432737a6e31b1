// Runs nginx over two instances with keys, and prints what must be 0. `planted.test.ts` starts it with and without a fault of the gateway.
// Arguments: `lossy` for many unknown outcomes, `sound` for a provider that loses nothing and accepts a reference more than once, so that only
// keys prevent a second customer.
import { faultsOf } from './modes.ts';
import { programs } from './programs.ts';
import { runProgram } from './run.ts';

const common = { seed: 1, keyed: true } as const;
const runs = {
  async lossy() {
    const report = await runProgram(programs.nginx, { ...common, creates: 80, updates: 40, providerLoss: 0.4 });
    return faultsOf('keyed', report);
  },
  async sound() {
    const options = { ...common, creates: 160, updates: 0, uniqueReferences: false, providerLoss: 0 };
    return faultsOf('notUniqueSound', await runProgram(programs.nginx, options));
  },
} as const;

for (const name of ['lossy', 'sound'] as const) {
  if (process.argv.includes(name)) console.log(JSON.stringify(await runs[name]()));
}
