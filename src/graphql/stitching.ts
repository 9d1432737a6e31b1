/** How many customers one `customers` field takes at most; a stitching gateway asks for more in several operations. */
const maxBatchSize = 100;

/** The fields of a customer that another schema may know. */
interface Stub {
  readonly id?: string | null;
  readonly objectReferenceId?: string | null;
}

/** One way from a stub to the customer, as `@graphql-tools/stitch` takes it. */
export interface CustomerEntryPoint {
  readonly selectionSet: string;
  readonly fieldName: 'customers';
  readonly key: (stub: Stub) => string | null | undefined;
  readonly argsFromKeys: (ids: readonly string[]) => { ids: readonly string[] };
  readonly dataLoaderOptions: { readonly maxBatchSize: number };
}

/**
 * The `merge` option of this gateway's subschema in `@graphql-tools/stitch`: customers by `id` or by
 * `objectReferenceId`, whichever the other schema knows, in batches of at most 100. `schema/stitching.graphql` says the
 * first of the two by directives; the second needs this.
 *
 * Leave the subschema's own `batch` off: it would put several batches into one operation, and one operation may cost
 * `LIMIT_UPSTREAM_READS` upstream calls only.
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
