import { z } from 'zod';
import { type Scope, scopes } from '../customers/access.ts';
import { isQuoted } from './settings.ts';

/** The content of a file. Bytes allow a check of the encoding. */
export type FileContent = string | Uint8Array;

/** Reads a file. @throws Error if the file cannot be read. */
export type ReadFile = (path: string) => FileContent;

/** One entry of `AUTH_API_KEYS_FILE`. Two entries may share a name, so that a caller can have two keys during a rotation. */
export type KeyEntry = z.output<typeof KeyEntries>[number];

const KeyEntries = z.array(
  z.strictObject({
    name: z.string().min(1),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    scopes: z.array(z.enum(scopes as [Scope, ...Scope[]])),
    merchant: z.string().min(1).optional(),
    customer: z.string().min(1).optional(),
    documents: z.literal('any').optional(),
  }),
);

/** @throws Error with the position of every problem, without values. */
export function readKeyEntries(path: string, readFile: ReadFile): KeyEntry[] {
  const json = readJson('AUTH_API_KEYS_FILE', path, readFile);
  const parsed = KeyEntries.safeParse(json);
  if (parsed.success) return parsed.data;
  const places = placesOf(parsed.error, json, (place) => place.map(String).join('.') || 'the whole');
  throw new Error(
    `AUTH_API_KEYS_FILE is not a list of { name, sha256, scopes, merchant?, customer?, documents? }: see ${places}.`,
  );
}

/**
 * Lists the invalid positions of a file. Adds a hint to identifiers that are JSON numbers: large ones would be rounded.
 *
 * @param print formats one path without values.
 */
export function placesOf(error: z.ZodError, json: unknown, print: (place: readonly PropertyKey[]) => string): string {
  const places = error.issues.map(({ path }) => {
    const value = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key], json);
    return print(path) + (typeof value === 'number' ? ' (write numbers in quotes: long ones would be rounded)' : '');
  });
  return [...new Set(places)].join(', ');
}

/** The format of Apollo's `apollo-persisted-query-manifest`. */
const ApolloManifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string().min(1), body: z.string() })),
});

/** The format of Relay's `persistConfig.file` and GraphQL Code Generator's `persistedDocuments`. */
const DocumentsById = z.record(z.string().min(1), z.string());

/** The beginning of a GraphQL document, which may be a description. Detects JSON files that hold other maps of strings. */
const document = /^[\s,]*(?:#[^\n]*\n[\s,]*)*(?:[{"]|query\b|mutation\b|subscription\b|fragment\b)/;

/**
 * Reads one manifest of `PERSISTED_DOCUMENTS_FILE`.
 *
 * @returns the id and the document of each entry.
 * @throws Error if the file cannot be read or is not a manifest.
 */
export function readDocuments(path: string, readFile: ReadFile): [id: string, text: string][] {
  const json = readJson('PERSISTED_DOCUMENTS_FILE', path, readFile);
  const ofApollo = ApolloManifest.safeParse(json);
  const byId = DocumentsById.safeParse(json);
  const documents = ofApollo.success
    ? ofApollo.data.operations.map(({ id, body }): [string, string] => [id, body])
    : Object.entries(byId.data ?? { '': '' });
  if (documents.every(([, text]) => document.test(text))) return documents;
  throw new Error(
    'PERSISTED_DOCUMENTS_FILE is not a manifest of Apollo (`apollo-persisted-query-manifest`, version 1), Relay (`{ "<id>": "<document>" }`) or GraphQL Code Generator (`{ "<hash>": "<document>" }`, the hash bare or after `sha256:`).',
  );
}

/** @throws Error if the file cannot be read or does not hold JSON. */
export function readJson(setting: string, path: string, readFile: ReadFile): unknown {
  const problem = `${setting} names a file that cannot be read, or that is no JSON.`;
  const text = readText(setting, path, readFile, problem);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(problem);
  }
}

/**
 * Reads a secret from a file.
 *
 * @throws Error if the file cannot be read or is empty.
 */
export function readSecret(setting: string, path: string, readFile: ReadFile): string {
  const text = readText(setting, path, readFile, `${setting} names a file that cannot be read.`);
  if (text === '') throw new Error(`${setting} names an empty file.`);
  return text;
}

/** Reads a file without its byte order mark and one trailing newline. @throws Error with `problem` if it cannot be read. */
function readText(setting: string, path: string, readFile: ReadFile, problem: string): string {
  let bytes: Buffer;
  try {
    // The overloads accept each type of the union, but not the union.
    bytes = Buffer.from(readFile(path) as string);
  } catch {
    throw new Error(problem);
  }
  const [first, second] = bytes;
  const hasUtf16Mark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  // UTF-16 without a byte order mark has a zero byte for each ASCII character. Text in UTF-8 has none.
  if (hasUtf16Mark || bytes.includes(0)) throw new Error(`${setting} names a file in UTF-16: save it in UTF-8.`);
  let text: string;
  try {
    // `TextDecoder` removes the byte order mark.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch {
    throw new Error(`${setting} names a file that is not in UTF-8.`);
  }
  if (isQuoted(text)) throw new Error(`${setting} names a file whose content is in quotes: remove them.`);
  return text;
}
