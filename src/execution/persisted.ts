import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type ReadFile, readDocuments } from '../config/operator-files.ts';
import { RequestError } from '../errors.ts';

/** Documents by their ids: `sha256:<hex>` as the manifest has it, or the hash alone as Apollo's clients send it. */
export interface Manifest {
  find(id: string): string | undefined;
  /**
   * Applies other content of the same files.
   *
   * @throws Error naming the setting when a file is unusable: the documents known before stay in use.
   */
  reload(readFile: ReadFile): void;
}

/**
 * Reads manifests: objects of id → document.
 *
 * @throws Error naming the setting when a file is unusable.
 */
export function openManifest(paths: readonly string[], readFile: ReadFile = (path) => readFileSync(path)): Manifest {
  let documents = readAll(paths, readFile);
  return {
    find: (id) => documents.get(id.replace(/^sha256:/, '')),
    reload(read) {
      documents = readAll(paths, read);
    },
  };
}

function readAll(paths: readonly string[], readFile: ReadFile): Map<string, string> {
  const documents = new Map<string, string>();
  for (const path of paths) {
    for (const [id, text] of readDocuments(path, readFile)) documents.set(id.replace(/^sha256:/, ''), text);
  }
  return documents;
}

/** What a request says of its document. */
export interface DocumentRequest {
  readonly query: string | undefined;
  readonly documentId: string | undefined;
}

/**
 * The text to run.
 *
 * @param onlyPersisted whether this caller may send ids only.
 * @throws RequestError `PERSISTED_QUERY_NOT_FOUND`, `PERSISTED_QUERY_ONLY`, `BAD_USER_INPUT`.
 */
export function documentOf({ query, documentId }: DocumentRequest, manifest: Manifest, onlyPersisted: boolean): string {
  if (query !== undefined && onlyPersisted) throw new RequestError('PERSISTED_QUERY_ONLY', { inDocument: true });
  if (query !== undefined && documentId !== undefined && !isIdOf(documentId, query, manifest)) {
    throw new RequestError('BAD_USER_INPUT', { message: 'The id is that of another document.', inDocument: true });
  }
  if (query !== undefined) return query;
  if (documentId === undefined) {
    throw new RequestError('BAD_USER_INPUT', {
      message: '`query` must be a text: the GraphQL document. Or send `documentId`.',
    });
  }
  const text = manifest.find(documentId);
  if (text === undefined) throw new RequestError('PERSISTED_QUERY_NOT_FOUND', { inDocument: true });
  return text;
}

/** Clients that were told that nobody knows an id send the document along with it. */
function isIdOf(documentId: string, query: string, manifest: Manifest): boolean {
  const hash = createHash('sha256').update(query).digest('hex');
  return documentId.replace(/^sha256:/, '') === hash || manifest.find(documentId) === query;
}
