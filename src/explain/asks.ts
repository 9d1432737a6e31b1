import { type GraphQLResolveInfo, isObjectType } from 'graphql';
import { type CustomerApi, type CustomerKey, pathIdOf, type ReadOptions } from '../customers/customer.ts';
import { fieldsOf, responseNameOf, selectionSetsOf } from '../execution/fields.ts';

/** A call of a resolver to the `CustomerApi` of its operation. */
export interface Ask {
  readonly kind: 'get' | 'create' | 'update';
  readonly pathId: string;
  readonly withToken: boolean;
  /** The path of the field, without indexes of lists. */
  readonly field: string;
  /** The root field. */
  readonly root: string;
  /** The paths of the selected `clientAuthToken` fields, if the token is requested. */
  readonly tokenFields: readonly string[];
  /** Whether the field is `clientAuthToken` itself: its customer was answered without the token. */
  readonly isTokenField: boolean;
  /** Whether a call has served it. */
  isServed: boolean;
}

/**
 * Notes what the resolvers of one operation ask for. Resolvers call the `CustomerApi` before their first `await`, so the field that
 * has been entered last is the one that asks.
 */
export class Asks {
  /** Reads since the last write, and the current write. */
  #current: Ask[] = [];
  #info: GraphQLResolveInfo | undefined;

  /** Call it before the resolver of each field. */
  enter(info: GraphQLResolveInfo): void {
    this.#info = info;
  }

  /** The root field of the current resolver. */
  get root(): string {
    return pathOf(this.#info)[0] ?? '';
  }

  /** Notes the calls to `api`. @param onKey called with the key of each read. */
  noted(api: CustomerApi, onKey: (key: CustomerKey) => void): CustomerApi {
    return {
      get: (key, options) => {
        onKey(key);
        this.#add('get', pathIdOf(key), options, ['Customer.clientAuthToken']);
        return api.get(key, options);
      },
      create: (input, options) => {
        const steps = ['CreateCustomerSuccess.customer', 'Customer.clientAuthToken'];
        this.#add('create', input.objectReferenceId, options, steps);
        return api.create(input, options);
      },
      update: (id, changes) => {
        this.#add('update', id, undefined, []);
        return api.update(id, changes);
      },
    };
  }

  /** The asks that a call for this customer can serve. */
  about(pathId: string): Ask[] {
    return this.#current.filter((ask) => ask.pathId === pathId);
  }

  /** Call it when a write has ended: later reads do not get earlier responses. */
  clear(): void {
    this.#current = [];
  }

  #add(kind: Ask['kind'], pathId: string, options: ReadOptions | undefined, steps: readonly string[]): void {
    const info = this.#info;
    const path = pathOf(info);
    const withToken = options?.withClientAuthToken ?? false;
    const isTokenField = info?.parentType.name === 'Customer' && info.fieldName === 'clientAuthToken';
    const selected = info && withToken ? selectedPaths(info, steps) : [];
    const tokenFields = isTokenField ? [path.join('.')] : selected.map((below) => [...path, ...below].join('.'));
    this.#current.push({
      kind,
      pathId,
      withToken,
      field: path.join('.'),
      root: path[0] ?? '',
      tokenFields,
      isTokenField,
      isServed: false,
    });
  }
}

/** The response names from the root to a field. */
function pathOf(info: GraphQLResolveInfo | undefined): string[] {
  const names: string[] = [];
  for (let step = info?.path; step !== undefined; step = step.prev) {
    if (typeof step.key === 'string') names.unshift(step.key);
  }
  return names;
}

/** The response names of the selected fields at the end of `steps`, from below the current field. */
function selectedPaths(info: GraphQLResolveInfo, steps: readonly string[]): string[][] {
  let found: { readonly path: string[]; readonly nodes: GraphQLResolveInfo['fieldNodes'] }[] = [
    { path: [], nodes: info.fieldNodes },
  ];
  for (const step of steps) {
    const [typeName = '', fieldName] = step.split('.');
    const type = info.schema.getType(typeName);
    if (!isObjectType(type)) return [];
    found = found.flatMap(({ path, nodes }) =>
      fieldsOf(info, type, selectionSetsOf(nodes))
        .filter(({ name }) => name.value === fieldName)
        .map((node) => ({ path: [...path, responseNameOf(node)], nodes: [node] })),
    );
  }
  // Fields with the same response name are merged.
  return [...new Map(found.map(({ path }) => [path.join('.'), path])).values()];
}
