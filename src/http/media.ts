/** Media types of responses. The first is the default. */
const answerTypes = ['application/json', 'application/graphql-response+json'] as const;

/** Limits of the parsed headers, because parsing runs before authentication. Browsers send about 150 characters. */
const maxAcceptLength = 1_024;
const maxContentTypeLength = 256;

/**
 * Negotiates the media type of the response. If two types have the same weight, the one listed first is used.
 *
 * @returns `undefined` if the client accepts neither type.
 * @see RFC 9110, section 12.5.1: the most specific matching range defines the weight of a type.
 */
export function answerType(accept: string | null | undefined): (typeof answerTypes)[number] | undefined {
  // Nearly all clients send one of these. The general way would take 1 % of the time of a read.
  if (accept == null || accept === 'application/json' || accept === '*/*' || accept.trim() === '')
    return answerTypes[0];
  const ranges = accept
    .slice(0, maxAcceptLength)
    .split(',')
    .map(readRange)
    .filter(({ isUtf8 }) => isUtf8);
  const wanted = answerTypes.flatMap((type) => {
    const matching = [type, 'application/*', '*/*'].map((name) => ranges.find((range) => range.type === name));
    const range = matching.find((match) => match !== undefined);
    return range && range.weight > 0 ? [{ type, weight: range.weight, place: ranges.indexOf(range) }] : [];
  });
  const [best] = wanted.toSorted((a, b) => b.weight - a.weight || a.place - b.place);
  return best?.type;
}

/** Whether the type is `application/json`, in UTF-8 if it has a charset. Ignores other parameters. */
export function isJson(contentType: string | null | undefined): boolean {
  if (contentType === answerTypes[0]) return true;
  if (contentType == null || contentType.length > maxContentTypeLength) return false;
  const { type, isUtf8 } = readRange(contentType);
  return type === 'application/json' && isUtf8;
}

function readRange(text: string): { type: string; isUtf8: boolean; weight: number } {
  const [type = '', ...parameters] = text.toLowerCase().split(';');
  // Every `charset` parameter must be UTF-8: of several, a proxy or client may read another one.
  const charsets = parameters.filter((parameter) => parameter.includes('charset'));
  const [weight] = parameters.flatMap((parameter) => /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/.exec(parameter)?.[1] ?? []);
  return {
    type: type.trim(),
    isUtf8: charsets.every((parameter) => /^\s*charset\s*=\s*("utf-?8"|utf-?8)\s*$/.test(parameter)),
    weight: Number(weight ?? 1),
  };
}
