import { z } from 'zod';
import { type Scope, scopes } from './caller.ts';

/** Reads a text; throws when it cannot. */
export type ReadFile = (path: string) => string;

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
  const parsed = KeyEntries.safeParse(readJson('AUTH_API_KEYS_FILE', path, readFile));
  if (parsed.success) return parsed.data;
  const places = new Set(parsed.error.issues.map(({ path: place }) => place.map(String).join('.') || 'the whole'));
  throw new Error(
    `AUTH_API_KEYS_FILE is not a list of { name, sha256, scopes, merchant?, customer?, documents? }: see ${[...places].join(', ')}.`,
  );
}

/**
 * One manifest of `PERSISTED_DOCUMENTS_FILE`.
 *
 * @returns id and document of each entry.
 * @throws Error with a sentence.
 */
export function readDocuments(path: string, readFile: ReadFile): [id: string, text: string][] {
  const parsed = z.record(z.string(), z.string()).safeParse(readJson('PERSISTED_DOCUMENTS_FILE', path, readFile));
  if (!parsed.success) throw new Error('PERSISTED_DOCUMENTS_FILE is not an object of ids and documents.');
  return Object.entries(parsed.data);
}

function readJson(setting: string, path: string, readFile: ReadFile): unknown {
  try {
    return JSON.parse(readFile(path));
  } catch {
    throw new Error(`${setting} names a file that cannot be read, or that is no JSON.`);
  }
}
