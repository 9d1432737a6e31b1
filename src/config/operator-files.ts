import { z } from 'zod';
import { type Scope, scopes } from '../customers/access.ts';
import { isQuoted } from './settings.ts';

/** A file as it was read: bytes, so that its encoding can be checked. */
export type FileContent = string | Uint8Array;

/** Reads a file; throws when it cannot. */
export type ReadFile = (path: string) => FileContent;

/** One line of `AUTH_API_KEYS_FILE`. Two entries may share a name: two live keys of one caller, while it rotates. */
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

/** @throws Error with all that is wrong, by place and never by value. */
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
 * Where a file is wrong. Identifiers given as JSON numbers are refused, also where they are exact: which of them are is not
 * visible in the file.
 *
 * @param print prints one place without a value.
 */
export function placesOf(error: z.ZodError, json: unknown, print: (place: readonly PropertyKey[]) => string): string {
  const places = error.issues.map(({ path }) => {
    const value = path.reduce<unknown>((inner, key) => (inner as Record<PropertyKey, unknown> | null)?.[key], json);
    return print(path) + (typeof value === 'number' ? ' (write numbers in quotes: long ones would be rounded)' : '');
  });
  return [...new Set(places)].join(', ');
}

/** What `apollo-persisted-query-manifest` writes. */
const ApolloManifest = z.object({
  format: z.literal('apollo-persisted-query-manifest'),
  version: z.literal(1),
  operations: z.array(z.object({ id: z.string().min(1), body: z.string() })),
});

/** Ids and documents: what Relay's `persistConfig.file` and GraphQL Code Generator's `persistedDocuments` write. */
const DocumentsById = z.record(z.string().min(1), z.string());

/** Tells documents from other texts, so that a map of another kind is refused. An operation may begin with a description. */
const document = /^[\s,]*(?:#[^\n]*\n[\s,]*)*(?:[{"]|query\b|mutation\b|subscription\b|fragment\b)/;

/**
 * One manifest of `PERSISTED_DOCUMENTS_FILE`.
 *
 * @returns id and document of each entry.
 * @throws Error with a sentence.
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

/** @throws Error with a sentence. */
export function readJson(setting: string, path: string, readFile: ReadFile): unknown {
  let content: FileContent;
  try {
    content = readFile(path);
  } catch {
    throw new Error(`${setting} names a file that cannot be read, or that is no JSON.`);
  }
  const text = decodeFile(setting, content);
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${setting} names a file that cannot be read, or that is no JSON.`);
  }
}

/**
 * The secret in the file that `NAME_FILE` names.
 *
 * @throws Error with a sentence.
 */
export function readSecret(setting: string, path: string, readFile: ReadFile): string {
  let content: FileContent;
  try {
    content = readFile(path);
  } catch {
    throw new Error(`${setting} names a file that cannot be read.`);
  }
  const text = decodeFile(setting, content);
  if (text === '') throw new Error(`${setting} names an empty file.`);
  return text;
}

/** The text without its byte order mark and without one trailing newline. */
function decodeFile(setting: string, content: FileContent): string {
  const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
  const [first, second] = bytes;
  const hasUtf16Mark = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  // No other text holds a zero byte, and UTF-16 without a mark holds one for each ASCII character.
  if (hasUtf16Mark || bytes.includes(0)) throw new Error(`${setting} names a file in UTF-16: save it in UTF-8.`);
  let text: string;
  try {
    // Takes the byte order mark off.
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch {
    throw new Error(`${setting} names a file that is not in UTF-8.`);
  }
  if (isQuoted(text)) throw new Error(`${setting} names a file whose content is in quotes: remove them.`);
  return text;
}
