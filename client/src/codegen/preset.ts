import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Types } from '@graphql-codegen/plugin-helpers';
import { buildASTSchema } from 'graphql';
import { type Flavour, flavours, generate } from './generate.ts';

export type { Flavour } from './generate.ts';

export interface PresetConfig {
  /** Default: all. */
  readonly flavours?: readonly Flavour[];
  /** File extension in imports between the generated files. Default `.ts`. Use `.js` if imports are not rewritten, and `''` for bundlers. */
  readonly importExtension?: '.ts' | '.js' | '';
}

/**
 * A preset of GraphQL Code Generator for your own operations. Writes the same documents, ids, hooks and handlers that this package has for
 * its operations into one folder.
 *
 * `generates: { 'src/gql/': { preset, presetConfig: { flavours: ['react-query'] } } }`
 *
 * Pass the `persisted-documents.json` of the folder to the gateway in `PERSISTED_DOCUMENTS_FILE`. Entries are never removed from it.
 */
export const preset: Types.OutputPreset<PresetConfig> = {
  async buildGeneratesSection({ baseOutputDir, documents, schema, schemaAst, presetConfig, config }) {
    const parsed = documents.flatMap(({ document }) => (document ? [document] : []));
    const manifest = join(baseOutputDir, 'persisted-documents.json');
    const chosen = presetConfig.flavours ?? flavours;
    const extension = presetConfig.importExtension ?? '.ts';
    // Only these two entries export the type of parsed documents.
    const entries = { document: 'client', ast: chosen.includes('urql') ? 'urql' : 'apollo' };
    const files = await generate(schemaAst ?? buildASTSchema(schema), parsed, {
      flavours: chosen,
      imports: {
        kit: (part) => `juspay-customer-client/${entries[part as keyof typeof entries] ?? part}`,
        sibling: (file) => `./${file}${extension}`,
      },
      reservedNames: reservedNames(),
      earlier: existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, string>) : {},
    });
    return Object.entries(files).map(([file, content]) => ({
      filename: join(baseOutputDir, file),
      plugins: [{ kit: {} }],
      pluginMap: { kit: { plugin: () => content } },
      config,
      schema,
      documents: [],
    }));
  },
};

/** Names of the kit's own operations, including those of earlier releases. */
function reservedNames(): string[] {
  const manifest = new URL('../../../schema/generated/persisted-documents.json', import.meta.url);
  const documents = JSON.parse(readFileSync(manifest, 'utf8')) as Record<string, string>;
  return Object.values(documents).flatMap((text) => /^\w+ (\w+)/.exec(text)?.[1] ?? []);
}
