import { createReadStream } from 'node:fs';
import { parseArgs } from 'node:util';
import { Verifier } from '../telemetry/audit-file/verify.ts';

const auditUsage = 'Usage: audit verify [--json] [--expect HASH] FILE... (rotated files from the oldest to the newest)';

/** Longer than every audit line. The rest of a longer line is ignored: it is not sound in any case. */
const maxLineBytes = 1_048_576;
const lineFeed = 10;

/** A wrong command line, or a file that cannot be read. */
export class AuditUsageError extends Error {}

/** The lines of `audit`, and its exit code. @throws AuditUsageError */
export async function verifyFiles(argv: readonly string[]): Promise<{ lines: string[]; exitCode: number }> {
  const { files, expected, isJson } = argumentsOf(argv);
  const verifier = new Verifier(expected);
  for (const file of files) {
    verifier.beginFile(file);
    try {
      verifier.endFile(await pass(file, verifier));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      throw new AuditUsageError(`${file} cannot be read (${code}).`);
    }
  }
  verifier.finish();
  return report(verifier, isJson);
}

function argumentsOf(argv: readonly string[]) {
  const [action, ...rest] = argv;
  if (action !== 'verify') throw new AuditUsageError(auditUsage);
  try {
    const { values, positionals } = parseArgs({
      args: rest,
      options: { json: { type: 'boolean', default: false }, expect: { type: 'string' } },
      allowPositionals: true,
    });
    const isHash = values.expect === undefined || /^[\da-f]{64}$/.test(values.expect);
    if (positionals.length > 0 && isHash) return { files: positionals, expected: values.expect, isJson: values.json };
  } catch {
    // An unknown option.
  }
  throw new AuditUsageError(auditUsage);
}

/** Passes the lines of a file to the verifier. @returns the bytes after the last line feed. */
async function pass(file: string, verifier: Verifier): Promise<Buffer> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const data of createReadStream(file)) {
    const bytes = data as Buffer;
    let start = 0;
    for (let end = bytes.indexOf(lineFeed); end >= 0; end = bytes.indexOf(lineFeed, start)) {
      verifier.add(Buffer.concat([...rest, bytes.subarray(start, end)]));
      rest = [];
      restBytes = 0;
      start = end + 1;
    }
    if (start === bytes.length || restBytes > maxLineBytes) continue;
    rest.push(bytes.subarray(start));
    restBytes += bytes.length - start;
  }
  return Buffer.concat(rest);
}

function report({ findings, problems, losses, lines, first, last }: Verifier, isJson: boolean) {
  const exitCode = problems > 0 ? 1 : losses > 0 ? 3 : 0;
  const verdict = problems > 0 ? 'unsound' : losses > 0 ? 'incomplete' : 'sound';
  if (isJson) {
    const chain = { firstSequence: first?.sequence, lastSequence: last?.sequence, lastHash: last?.hash };
    return { lines: [JSON.stringify({ verdict, lines, ...chain, problems, losses, findings }, null, 2)], exitCode };
  }
  const rows = findings.map(({ kind, file, line, message }) => `${kind.padEnd(9)}${file}:${line}  ${message}`);
  const more = problems + losses - findings.length;
  const range = last === undefined ? 'none' : `${first?.sequence ?? last.sequence} to ${last.sequence}`;
  return {
    lines: [
      ...rows,
      ...(more > 0 ? [`and ${more} more.`] : []),
      `${verdict}: ${lines} lines, numbers ${range}, last hash ${last?.hash ?? 'none'}`,
    ],
    exitCode,
  };
}
