import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeServices } from '@theguild/federation-composition';
import { parse } from 'graphql';
import { addresses, ordersSdl, ticketsSdl } from './examples/bff/subgraphs.ts';
import { printSubgraph, prints } from './src/graphql/prints.ts';
import { buildSchema } from './src/graphql/schema.ts';

/** Everything that is made from the code and committed, by its path from the root. */
function outputs(): Readonly<Record<string, string>> {
  const folder = fileURLToPath(new URL('schema/operations/', import.meta.url));
  const documents = readdirSync(folder)
    .toSorted()
    .map((name) => readFileSync(`${folder}${name}`, 'utf8').trim());
  const manifest = Object.fromEntries(
    documents.map((text) => [`sha256:${createHash('sha256').update(text).digest('hex')}`, text]),
  );
  return {
    ...Object.fromEntries(Object.values(prints).map(({ file, print }) => [`schema/${file}`, print(buildSchema())])),
    'examples/bff/supergraph.graphql': composeExample(),
    'schema/generated/persisted-documents.json': `${JSON.stringify(manifest, null, 2)}\n`,
  };
}

/** The supergraph of `examples/bff`: this gateway, a subgraph that knows customers by id, and one that knows them by reference. */
function composeExample(): string {
  const parts = { customers: printSubgraph(buildSchema()), orders: ordersSdl, tickets: ticketsSdl };
  const { supergraphSdl, errors } = composeServices(
    (['customers', 'orders', 'tickets'] as const).map((name) => ({
      name,
      url: addresses[name],
      typeDefs: parse(parts[name]),
    })),
  );
  if (supergraphSdl === undefined) throw new Error(`The example does not compose: ${errors?.join(' ')}`);
  return `${supergraphSdl.trimEnd()}\n`;
}

function isFresh(path: string, text: string): boolean {
  try {
    return readFileSync(path, 'utf8') === text;
  } catch {
    return false;
  }
}

const check = process.argv.includes('--check');
let stale = 0;
for (const [name, text] of Object.entries(outputs())) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  if (isFresh(path, text)) continue;
  stale += 1;
  if (check) {
    console.error(`${name} is not what the code prints. Run \`npm run generate\` and commit the result.`);
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`${name} renewed`);
  }
}
process.exitCode = check && stale > 0 ? 1 : 0;
