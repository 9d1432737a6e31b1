/** Maximum of ids in one `customers` field. A stitching gateway splits larger batches into several operations. */
const maxBatchSize = 100;

/** The key fields of a customer in another schema. */
interface Stub {
  readonly id?: string | null;
  readonly objectReferenceId?: string | null;
}

/** An entry point in the format of `@graphql-tools/stitch`: it resolves a stub to the customer. */
export interface CustomerEntryPoint {
  readonly selectionSet: string;
  readonly fieldName: 'customers';
  readonly key: (stub: Stub) => string | null | undefined;
  readonly argsFromKeys: (ids: readonly string[]) => { ids: readonly string[] };
  readonly dataLoaderOptions: { readonly maxBatchSize: number };
}

/**
 * Returns the `merge` option for this gateway's subschema in `@graphql-tools/stitch`. It resolves customers by `id` or by
 * `objectReferenceId`, in batches of at most 100. The directives of `schema/stitching.graphql` cover `id` only.
 *
 * Do not set `batch` on the subschema: it merges several batches into one operation, which can exceed
 * `LIMIT_UPSTREAM_READS`.
 *
 * @example
 * const customers = { schema: buildSchema(stitchingSdl), executor, merge: stitchingMerge() };
 * const gatewaySchema = stitchSchemas({ subschemas: [customers, orders, tickets] });
 */
export function stitchingMerge(): { Customer: { entryPoints: CustomerEntryPoint[] } } {
  return { Customer: { entryPoints: [entryPoint('id'), entryPoint('objectReferenceId')] } };
}

function entryPoint(field: keyof Stub): CustomerEntryPoint {
  return {
    selectionSet: `{ ${field} }`,
    fieldName: 'customers',
    key: (stub) => stub[field],
    argsFromKeys: (ids) => ({ ids }),
    dataLoaderOptions: { maxBatchSize },
  };
}
