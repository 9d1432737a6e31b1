import { parseArgs } from 'node:util';
import { ConfigError, loadConfig, readGiven } from '../config/config.ts';
import { isLoopback } from '../config/settings.ts';
import { createLog, openOutput } from '../telemetry/log.ts';
import { isInContainer, textOf, unreachable } from './announcement.ts';
import { commands, configText, helpText, version } from './help.ts';
import { onStop } from './process-end.ts';
import { serve } from './serve.ts';
import { hasTracerProvider } from './tracing.ts';

const usageExitCode = 2;
const failureExitCode = 1;

/**
 * Runs the command `customer-gateway`.
 *
 * @param argv the arguments, without the name of the program.
 * @returns the exit code; `undefined` if a server is running.
 */
export async function main(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number | undefined> {
  const [command = 'serve', ...rest] = argv[0]?.startsWith('-') ? ['serve', ...argv] : argv;
  if (command === 'help' || argv.includes('--help') || argv.includes('-h')) return print(helpText());
  if (argv.includes('--version')) return print([version()]);
  if (command === 'schema') return schema(rest);
  if (command === 'audit') return audit(rest);
  if (command === 'doctor') return doctor(rest, environment);
  if (command === 'health') return health(rest, environment);
  if (command === 'explain') return explain(rest, environment);
  if (command === 'sandbox' || command === 'token') {
    const problems: string[] = [];
    const given = readGiven(environment, problems);
    if (problems.length > 0) return fail(failureExitCode, problems);
    return command === 'sandbox' ? sandbox(rest, given) : token(rest, given);
  }
  if (command !== 'serve' && command !== 'config') {
    return fail(usageExitCode, [
      `Unknown command ${JSON.stringify(command)}. Commands: ${Object.keys(commands).join(', ')}.`,
    ]);
  }
  const isCheck = command === 'config' && rest.length === 1 && rest[0] === '--check';
  if (rest.length > 0 && !isCheck) {
    const options = command === 'config' ? 'the option --check only' : 'no options';
    return fail(usageExitCode, [`\`${command}\` takes ${options}: settings are environment variables. See --help.`]);
  }
  try {
    const config = loadConfig(environment, undefined, { ignoresTracing: hasTracerProvider() });
    if (isCheck) return print(['The settings are valid.']);
    return command === 'config' ? print(configText(config, environment)) : await serve(config, environment);
  } catch (error) {
    if (error instanceof ConfigError) {
      return fail(failureExitCode, [
        'The gateway cannot start. Correct these settings:',
        ...error.problems.map((problem) => `  - ${problem}`),
      ]);
    }
    const isMetrics = (error as { port?: number }).port === Number(environment['METRICS_PORT'] || Number.NaN);
    return failToListen(error, isMetrics ? 'HOST and METRICS_PORT' : 'HOST and PORT');
  }
}

async function health(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const isReady = argv[0] === '--ready';
  if (argv.length > (isReady ? 1 : 0)) return fail(usageExitCode, ['`health` takes the option --ready only.']);
  const { problemOfHealth } = await import('./health.ts');
  const problem = await problemOfHealth(isReady ? '/ready' : '/health', environment);
  return problem === undefined ? 0 : fail(failureExitCode, [problem]);
}

async function token(argv: readonly string[], given: NodeJS.ProcessEnv): Promise<number> {
  const { makeToken, TokenUsageError } = await import('./tokens.ts');
  try {
    return print([await makeToken(argv, given)]);
  } catch (error) {
    if (error instanceof TokenUsageError) return fail(usageExitCode, [error.message]);
    throw error;
  }
}

async function sandbox(argv: readonly string[], given: NodeJS.ProcessEnv): Promise<number | undefined> {
  const [{ dateForms, dialects, startSandbox }, { sandboxBanner }] = await Promise.all([
    import('../sandbox/server.ts'),
    import('../sandbox/banner.ts'),
  ]);
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        host: { type: 'string', default: given['HOST'] || '127.0.0.1' },
        port: { type: 'string', default: given['PORT'] || '4010' },
        dialect: { type: 'string', default: 'real' },
        dates: { type: 'string', default: 'utc' },
        strict: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        tidy: { type: 'boolean', default: false },
      },
    });
    const port = /^\d{1,5}$/.test(values.port) ? Number(values.port) : Number.NaN;
    if (!(port <= 65_535)) return fail(usageExitCode, ['PORT (or --port) must be an integer from 0 to 65535.']);
    const dialect = dialects.find((name) => name === values.dialect);
    if (!dialect) return fail(usageExitCode, [`--dialect must be one of ${dialects.join(', ')}.`]);
    const dates = dateForms.find((name) => name === values.dates);
    if (!dates) return fail(usageExitCode, [`--dates must be one of ${dateForms.join(', ')}.`]);
    const { JUSPAY_API_KEY: apiKey, JUSPAY_MERCHANT_ID: merchantId } = given;
    const started = await startSandbox({
      host: values.host,
      port,
      dialect,
      dates,
      strict: values.strict,
      json: values.json,
      tidy: values.tidy,
      ...(apiKey && { apiKey }),
      ...(merchantId && { merchantId }),
    });
    const output = openOutput();
    output.write(textOf(sandboxBanner(started)));
    if (isLoopback(values.host) && isInContainer(given)) process.stderr.write(`${unreachable}\n`);
    onStop({ log: createLog('error', output.write), output }, () => started.close());
    return undefined;
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')) {
      return fail(usageExitCode, [
        'Options of `sandbox`: --host, --port, --dialect real|seed|both, --dates utc|offset|micros, --strict, --json, --tidy.',
      ]);
    }
    return failToListen(error, 'HOST and PORT (or --host and --port)');
  }
}

async function schema(argv: readonly string[]): Promise<number> {
  const [option, wanted = 'plain', ...more] = argv.flatMap((argument) => argument.split('='));
  const isKnown = (option === undefined || option === '--for') && more.length === 0;
  const [{ prints }, { buildSchema }] = await Promise.all([
    import('../graphql/prints.ts'),
    import('../graphql/schema.ts'),
  ]);
  const [, found] = Object.entries(prints).find(([name]) => isKnown && name === wanted) ?? [];
  return found === undefined
    ? fail(usageExitCode, [`Usage: schema --for ${Object.keys(prints).join('|')}`])
    : print([found.print(buildSchema()).trimEnd()]);
}

async function explain(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const { ExplainUsageError, explainFile } = await import('./explain.ts');
  try {
    const { lines, isRefused } = await explainFile(argv, environment);
    return isRefused ? fail(failureExitCode, lines) : print(lines);
  } catch (error) {
    if (error instanceof ExplainUsageError) return fail(usageExitCode, [error.message]);
    if (error instanceof ConfigError) return fail(failureExitCode, error.problems);
    throw error;
  }
}

async function audit(argv: readonly string[]): Promise<number> {
  const { AuditUsageError, verifyFiles } = await import('./audit.ts');
  try {
    const { lines, exitCode } = await verifyFiles(argv);
    print(lines);
    return exitCode;
  } catch (error) {
    if (error instanceof AuditUsageError) return fail(usageExitCode, [error.message]);
    throw error;
  }
}

async function doctor(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const isJson = argv[0] === '--json';
  if (argv.length > (isJson ? 1 : 0)) return fail(usageExitCode, ['`doctor` takes the option --json only.']);
  const { diagnose, reportOf } = await import('./doctor/doctor.ts');
  const { lines, exitCode } = reportOf(await diagnose(environment), isJson);
  print(lines);
  return exitCode;
}

function failToListen(error: unknown, which: string): number {
  const { code, syscall } = error as { code?: string; syscall?: string };
  if (code === 'EADDRINUSE') return fail(failureExitCode, [`The address is already in use: change ${which}.`]);
  if (syscall === 'listen' || syscall === 'bind' || syscall === 'getaddrinfo') {
    return fail(failureExitCode, [`The gateway cannot listen on this address (${code}): change ${which}.`]);
  }
  throw error;
}

function print(lines: readonly string[]): number {
  process.stdout.write(textOf(lines));
  return 0;
}

function fail(code: number, lines: readonly string[]): number {
  process.stderr.write(`${lines.join('\n')}\n`);
  return code;
}

if (import.meta.main) {
  const code = await main(process.argv.slice(2), process.env);
  if (code !== undefined) process.exitCode = code;
}
