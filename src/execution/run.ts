import type { FragmentDefinitionNode, GraphQLResolveInfo, GraphQLSchema, OperationDefinitionNode } from 'graphql';
import type { Failures, Path } from './failures.ts';
import type { ItemTurns } from './item-turns.ts';
import type { FieldPlan } from './plan.ts';

export type Arguments = Readonly<Record<string, unknown>>;

/** One running operation. */
export interface Run {
  readonly schema: GraphQLSchema;
  readonly operation: OperationDefinitionNode;
  readonly fragments: Readonly<Record<string, FragmentDefinitionNode | undefined>>;
  readonly variableValues: Readonly<Record<string, unknown>>;
  /** The arguments of the root fields, by rank. */
  readonly args: readonly Arguments[];
  readonly context: object;
  readonly failures: Failures;
  /**
   * Characters that the response may still have. Below zero the response is refused, so its texts are not built any more;
   * resolvers still run. `Infinity` for mutations.
   */
  charactersLeft: number;
  readonly turns: ItemTurns;
}

/** A position in the response, with its rank in the object or the list. */
export interface Place extends Path {
  readonly prev: Place | undefined;
  readonly rank: number;
}

/** What a resolver may ask about its field. */
export function infoOf(run: Run, field: FieldPlan, path: Path): GraphQLResolveInfo {
  // Packages of routers extend the type with properties of graphql 17, which graphql 16 does not set.
  return new Info(run, field, path) as Partial<GraphQLResolveInfo> as GraphQLResolveInfo;
}

/** Its getters are rarely called, and a list has an object of it for each entity: with properties it would take three times the memory. */
class Info {
  readonly path: Path;
  readonly #run: Run;
  readonly #field: FieldPlan;

  constructor(run: Run, field: FieldPlan, path: Path) {
    this.path = path;
    this.#run = run;
    this.#field = field;
  }

  get fieldName(): string {
    return this.#field.definition.name;
  }

  get fieldNodes(): GraphQLResolveInfo['fieldNodes'] {
    return this.#field.nodes;
  }

  get returnType(): GraphQLResolveInfo['returnType'] {
    return this.#field.definition.type;
  }

  get parentType(): GraphQLResolveInfo['parentType'] {
    return this.#field.parentType;
  }

  get schema(): GraphQLSchema {
    return this.#run.schema;
  }

  get fragments(): GraphQLResolveInfo['fragments'] {
    return this.#run.fragments as GraphQLResolveInfo['fragments'];
  }

  get rootValue(): undefined {
    return undefined;
  }

  get operation(): OperationDefinitionNode {
    return this.#run.operation;
  }

  get variableValues(): GraphQLResolveInfo['variableValues'] {
    return this.#run.variableValues as GraphQLResolveInfo['variableValues'];
  }
}
