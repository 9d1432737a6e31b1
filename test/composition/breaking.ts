import {
  buildSchema,
  type ConstDirectiveNode,
  type DefinitionNode,
  findBreakingChanges,
  type NamedTypeNode,
  parse,
  print,
} from 'graphql';

/** Prints by file name. */
export type Prints = Readonly<Record<string, string>>;

/** Directives for composition. Removing or changing one breaks routers and stitching gateways. */
const composition = ['key', 'lookup', 'merge', 'link'];
/** Directives that restrict access. Adding or changing one breaks callers. */
const restrictive = ['requiresScopes', 'authenticated', 'inaccessible'];

/**
 * Returns the breaking changes between two sets of prints, one sentence each. graphql-js compares types, fields, arguments
 * and values. It ignores directives, so this function compares them.
 */
export function breakingChanges(before: Prints, now: Prints): string[] {
  const sentences = Object.entries(before).flatMap(([file, released]) => {
    const current = now[file];
    if (current === undefined) return [`${file} was removed.`];
    const [old, fresh] = [released, current].map((text) => buildSchema(text, { assumeValidSDL: true }));
    const changes = old && fresh ? findBreakingChanges(old, fresh).map(({ description }) => description) : [];
    return [...changes, ...brokenDirectives(released, current).map((text) => `${text} in ${file}.`)];
  });
  // A change that all prints share is reported once.
  return [...new Set(sentences)];
}

function brokenDirectives(released: string, current: string): string[] {
  const [before, now] = [applied(released), applied(current)];
  const lost = [...before].filter(([at, { name }]) => composition.includes(name) && !now.has(at));
  const gained = [...now].filter(([at, { name }]) => restrictive.includes(name) && !before.has(at));
  return [
    ...lost.map(([, { text, place }]) => `${text} was removed from ${place}`),
    ...gained.map(([, { text, place }]) => `${text} was added to ${place}`),
  ];
}

interface Applied {
  readonly name: string;
  readonly text: string;
  /** Schema coordinate: `Customer`, `Query.customer`, `schema`. */
  readonly place: string;
}

/** All applied directives, by coordinate and text. */
function applied(sdl: string): Map<string, Applied> {
  const found = new Map<string, Applied>();
  const note = (place: string, directives: readonly ConstDirectiveNode[] = []) => {
    for (const directive of directives) {
      const text = print(directive);
      found.set(`${place} ${text}`, { name: directive.name.value, text, place });
    }
  };
  for (const definition of parse(sdl).definitions) visit(definition, note);
  return found;
}

function visit(
  node: DefinitionNode,
  note: (place: string, directives: readonly ConstDirectiveNode[] | undefined) => void,
): void {
  if (node.kind === 'SchemaDefinition' || node.kind === 'SchemaExtension') return note('schema', node.directives);
  if (!('name' in node) || node.name === undefined || !node.kind.match(/Type(Definition|Extension)$/)) return;
  const type = node.name.value;
  const { directives, fields, values } = node as Partial<Members>;
  note(type, directives);
  for (const member of [...(fields ?? []), ...(values ?? [])]) {
    const place = `${type}.${member.name.value}`;
    note(place, member.directives);
    for (const argument of member.arguments ?? []) note(`${place}(${argument.name.value}:)`, argument.directives);
  }
}

/** A definition that can have directives. */
interface Member {
  readonly name: NamedTypeNode['name'];
  readonly directives?: readonly ConstDirectiveNode[];
  readonly arguments?: readonly Omit<Member, 'arguments'>[];
}
interface Members {
  readonly directives: readonly ConstDirectiveNode[];
  readonly fields: readonly Member[];
  readonly values: readonly Member[];
}

/** The changes that the changelog acknowledges above a version: the text in backticks of each line that begins with `- Breaking:`. */
export function acknowledged(changelog: string, since: string): string[] {
  const start = changelog.indexOf('\n## ');
  const end = changelog.indexOf(`\n## ${since}`);
  if (end < 0) throw new Error(`CHANGELOG.md has no heading for ${since}.`);
  return changelog
    .slice(start, end)
    .split('\n')
    .flatMap((line) => /^- Breaking: `(.+?)`/.exec(line)?.[1] ?? []);
}
