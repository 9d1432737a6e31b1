/** What answers may be. Where the client does not mind, the first. */
const answerTypes = ['application/json', 'application/graphql-response+json'] as const;

/**
 * How much of a header is read. Browsers send some 150 characters; this work is done before it is known who is calling.
 */
const maxAcceptLength = 1_024;
const maxContentTypeLength = 256;

/**
 * The type of the answer that the client wants most, by the weights of its `Accept`; of two that it wants alike the one
 * that it lists first. `undefined` where it takes neither.
 *
 * @see RFC 9110, section 12.5.1: of the ranges that a type matches the narrowest one says its weight.
 */
export function answerType(accept: string | null): (typeof answerTypes)[number] | undefined {
  if (accept === null || accept.trim() === '') return answerTypes[0];
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

/** `application/json`, in UTF-8 where a charset is named; no other parameter matters. */
export function isJson(contentType: string | null): boolean {
  if (contentType === null || contentType.length > maxContentTypeLength) return false;
  const { type, isUtf8 } = readRange(contentType);
  return type === 'application/json' && isUtf8;
}

function readRange(text: string): { type: string; isUtf8: boolean; weight: number } {
  const [type = '', ...parameters] = text.toLowerCase().split(';');
  // Every charset that is named counts, however it is written: another reader may take the other one.
  const charsets = parameters.filter((parameter) => parameter.includes('charset'));
  const [weight] = parameters.flatMap((parameter) => /^\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*$/.exec(parameter)?.[1] ?? []);
  return {
    type: type.trim(),
    isUtf8: charsets.every((parameter) => /^\s*charset\s*=\s*("utf-?8"|utf-?8)\s*$/.test(parameter)),
    weight: Number(weight ?? 1),
  };
}
