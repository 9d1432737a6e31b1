import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isObjectType,
} from 'graphql';
import type { Scope } from '../customers/access.ts';
import { GatewayError } from '../errors.ts';
import type { OperationContext } from './context.ts';

export function hasScope({ caller }: OperationContext, scope: Scope): boolean {
  return caller.scopes.has(scope);
}

// One shared error: thousands of fields can fail for one missing scope.
const forbidden = new GatewayError('FORBIDDEN');

/** The error of a field whose scope the caller does not have. A refused write is recorded. */
export function scopeError(
  context: OperationContext,
  { parentType, fieldName }: Pick<GraphQLResolveInfo, 'parentType' | 'fieldName'>,
): GatewayError {
  if (parentType.name === 'Mutation')
    context.audit({ field: fieldName, subject: '', changed: {}, outcome: 'FORBIDDEN' });
  return forbidden;
}

type Field = GraphQLField<unknown, OperationContext>;

/**
 * Adds to each field with a scope a resolver that checks the scope and calls the field's own resolver: `extensions.direct`. The
 * engine uses it instead of the resolver of `@pothos/plugin-scope-auth`, which evaluates a map of rules with promises for each
 * field. A field with any other rule has no direct resolver.
 */
export function withDirectResolvers(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields() as Record<string, Field>)) {
      const direct = directResolver(type, field);
      if (direct !== undefined) field.extensions = { ...field.extensions, direct };
    }
  }
  return schema;
}

/** The options of Pothos that this file supports. Any other rule of the plugin prevents a direct resolver. */
const rules = [
  'grantScopes',
  'runScopesOnType',
  'skipInterfaceScopes',
  'skipTypeScopes',
  'unauthorizedError',
  'unauthorizedResolver',
];

function directResolver(type: GraphQLObjectType, { extensions }: Field): Field['resolve'] {
  const options = pothosOptions(extensions);
  const { authScopes, resolve } = options;
  if (typeof authScopes !== 'object' || authScopes === null || typeof resolve !== 'function') return undefined;
  const { scope, ...others } = authScopes as { scope?: unknown };
  const isSimple = typeof scope === 'string' && Object.keys(others).length === 0;
  const owners = [type, ...type.getInterfaces()].map((owner) => pothosOptions(owner.extensions));
  const hasRules = owners.some((owner) => 'authScopes' in owner || rules.some((rule) => rule in owner));
  if (!isSimple || hasRules || rules.some((rule) => rule in options)) return undefined;
  return (source, args, context, info) => {
    if (!hasScope(context, scope as Scope)) throw scopeError(context, info);
    return (resolve as NonNullable<Field['resolve']>)(source, args, context, info);
  };
}

function pothosOptions(extensions: Readonly<Record<string, unknown>>): Partial<Record<string, unknown>> {
  return (extensions['pothosOptions'] ?? {}) as Partial<Record<string, unknown>>;
}
