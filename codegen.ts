import { globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeServices } from '@theguild/federation-composition';
import { buildASTSchema, type GraphQLSchema, parse } from 'graphql';
import { flavours, generate } from './client/src/codegen/generate.ts';
import { addresses, ordersSdl, ticketsSdl } from './examples/bff/subgraphs.ts';
import { printPlain, printSubgraph, prints } from './src/graphql/prints.ts';
import { buildSchema } from './src/graphql/schema.ts';
import { exampleEnvironment, settingsSchema } from './tools/settings-files.ts';
import { tables, withTable } from './tools/tables.ts';

/** All generated files that are committed: path from the root → content. */
async function outputs(): Promise<Readonly<Record<string, string>>> {
  return {
    ...Object.fromEntries(Object.values(prints).map(({ file, print }) => [`schema/${file}`, print(buildSchema())])),
    'examples/bff/supergraph.graphql': composeExample(),
    ...(await clientOutputs(buildASTSchema(parse(printPlain(buildSchema()))))),
    ...docsOutputs(),
    'schema/settings.schema.json': settingsSchema(),
    '.env.example': exampleEnvironment(),
  };
}

/** The supergraph of `examples/bff`: this gateway, a subgraph with customers by id, and one with customers by reference. */
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

/** The generated part of the client package: documents, ids, hooks, fixtures. */
async function clientOutputs(schema: GraphQLSchema): Promise<Record<string, string>> {
  const operations = new URL('schema/operations/', import.meta.url);
  const documents = readdirSync(operations)
    .toSorted()
    .map((name) => parse(readFileSync(new URL(name, operations), 'utf8')));
  const files = await generate(schema, documents, {
    flavours,
    imports: {
      kit: (part) =>
        `../../client/src/${{ document: 'document', ast: 'ast', msw: 'msw-handlers' }[part as 'msw'] ?? `${part}-hooks`}.ts`,
      sibling: (file) => `./${file}.ts`,
    },
    earlier: releasedDocuments(),
  });
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [`schema/generated/${name}`, text]));
}

/** The pages of `docs/` with their generated tables. */
function docsOutputs(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tables).map(([name, { page, rows }]) => [
      page,
      withTable(readFileSync(new URL(page, import.meta.url), 'utf8'), name, rows),
    ]),
  );
}

/** The persisted documents of all releases. Apps that were built with an earlier release still send its ids. */
function releasedDocuments(): Record<string, string> {
  const manifests = globSync('schema/released/*/persisted-documents.json', { cwd: import.meta.dirname }).toSorted();
  return Object.assign(
    {},
    ...manifests.map((path) => JSON.parse(readFileSync(`${import.meta.dirname}/${path}`, 'utf8'))),
  );
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
for (const [name, text] of Object.entries(await outputs())) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  if (isFresh(path, text)) continue;
  stale += 1;
  if (check) {
    console.error(`${name} is out of date. Run \`npm run generate\` and commit the result.`);
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`${name} written`);
  }
}
process.exitCode = check && stale > 0 ? 1 : 0;
