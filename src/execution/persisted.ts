import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ReadFile, readDocuments } from '../config/operator-files.ts';
import { RequestError } from '../errors.ts';

/** Persisted documents by id: `sha256:<hex>` as in the manifest, or the hash alone as Apollo clients send it. */
export interface Manifest {
  find(id: string): string | undefined;
  /** Whether a document has an operation of this name. Such a name is no text of a caller. */
  hasName(name: string): boolean;
  /**
   * Replaces the documents after the files changed.
   *
   * @throws Error with the name of the setting if a file is invalid. The current documents are kept.
   */
  reload(readFile: ReadFile): void;
}

/**
 * Reads manifest files: JSON objects of id → document.
 *
 * @throws Error with the name of the setting if a file is invalid.
 */
export function openManifest(paths: readonly string[], readFile: ReadFile = (path) => readFileSync(path)): Manifest {
  let documents = readAll(paths, readFile);
  /** Collected on first use. */
  let names: ReadonlySet<string> | undefined;
  return {
    find: (id) => documents.get(id.replace(/^sha256:/, '')),
    hasName(name) {
      names ??= namesOf(documents.values());
      return names.has(name);
    },
    reload(read) {
      documents = readAll(paths, read);
      names = undefined;
    },
  };
}

function namesOf(documents: Iterable<string>): Set<string> {
  const names = new Set<string>();
  for (const text of documents) {
    for (const [, name = ''] of text.matchAll(/(?:^|[\s}])(?:query|mutation)\s+(\w+)/g)) names.add(name);
  }
  return names;
}

function readAll(paths: readonly string[], readFile: ReadFile): Map<string, string> {
  const documents = new Map<string, string>();
  for (const path of paths) {
    for (const [id, text] of readDocuments(path, readFile)) documents.set(id.replace(/^sha256:/, ''), text);
  }
  return documents;
}

/** The document parameters of a request. */
export interface DocumentRequest {
  readonly query: string | undefined;
  readonly documentId: string | undefined;
}

/**
 * Returns the text of the document to execute.
 *
 * @param onlyPersisted whether the caller may use persisted documents only.
 * @throws RequestError `PERSISTED_QUERY_NOT_FOUND`, `PERSISTED_QUERY_ONLY`, `BAD_USER_INPUT`.
 */
export function documentOf({ query, documentId }: DocumentRequest, manifest: Manifest, onlyPersisted: boolean): string {
  if (query !== undefined && onlyPersisted) throw new RequestError('PERSISTED_QUERY_ONLY', { inDocument: true });
  if (query !== undefined && documentId !== undefined && !isIdOf(documentId, query, manifest)) {
    throw new RequestError('BAD_USER_INPUT', { message: 'The id does not match the document.', inDocument: true });
  }
  if (query !== undefined) return query;
  if (documentId === undefined) {
    throw new RequestError('BAD_USER_INPUT', {
      message: '`query` must be a string with the GraphQL document, or `documentId` must be sent.',
    });
  }
  const text = manifest.find(documentId);
  if (text === undefined) throw new RequestError('PERSISTED_QUERY_NOT_FOUND', { inDocument: true });
  return text;
}

/** Apollo clients send the id and the document together after `PersistedQueryNotFound`. */
function isIdOf(documentId: string, query: string, manifest: Manifest): boolean {
  const hash = createHash('sha256').update(query).digest('hex');
  return documentId.replace(/^sha256:/, '') === hash || manifest.find(documentId) === query;
}
