import { z } from 'zod';
import { Environment, type Setting, type SettingName, settings } from '../src/config/settings.ts';

/** Values for `.env.example`, for settings whose printed default is not a value. */
const examples: Partial<Record<SettingName, string>> = {
  METRICS_PORT: '9464',
  JUSPAY_API_KEY: 'your-api-key',
  JUSPAY_MERCHANT_ID: 'your-merchant-id',
  JUSPAY_BASE_URL: 'https://api.juspay.in',
  JUSPAY_VERSION: '2024-05-01',
  MERCHANTS_FILE: '/etc/customer-gateway/merchants.json',
  AUDIT_FILE: '/var/log/customer-gateway/audit.log',
  AUTH_MODE: 'jwt,api-key',
  AUTH_JWKS_URL: 'https://issuer.example/keys',
  AUTH_JWT_SECRET: 'a-shared-secret-of-at-least-32-bytes',
  AUTH_JWT_ISSUER: 'https://issuer.example',
  AUTH_JWT_AUDIENCE: 'customers',
  AUTH_API_KEYS_FILE: '/etc/customer-gateway/api-keys.json',
  RATE_LIMIT_PER_MINUTE: '600',
  REDIS_URL: 'redis://redis.example:6379',
  HTTPS_PROXY: 'http://proxy.example:3128',
  HTTP_PROXY: 'http://proxy.example:3128',
  NO_PROXY: 'localhost,10.0.0.0/8',
  INTROSPECTION: 'off',
  GRAPHIQL: 'off',
  PERSISTED_ONLY: 'on',
  PERSISTED_DOCUMENTS_FILE: '/etc/customer-gateway/persisted-documents.json',
  CORS_ORIGINS: 'https://shop.example',
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.example:4318',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector.example:4318/v1/traces',
  OTEL_EXPORTER_OTLP_HEADERS: 'x-collector-key=your-key',
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-collector-key=your-key',
  OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=production',
};

/** The text of `.env.example`: every setting as a comment. Values have no quotes, because `docker --env-file` keeps them. */
export function exampleEnvironment(): string {
  const head = [
    'Settings of customer-gateway. `npm run generate` writes this file from src/config/settings.ts.',
    'Copy it to .env and remove the # of each line that you need. Without a change, the gateway starts on its embedded sandbox.',
    'Check the result: node --env-file=.env bin/customer-gateway.js config --check',
    'Start the gateway: node --env-file=.env bin/customer-gateway.js',
  ];
  const blocks = settings.map((setting) => [
    `# ${describe(setting).replaceAll('\n', '\n# ')}`,
    ...(setting.secret ? [`# ${setting.name}_FILE: the path of a file with the value, instead of the value.`] : []),
    `#${setting.name}=${exampleOf(setting)}`,
  ]);
  const production = ['# production: disables the sandbox, introspection and GraphiQL.', '#NODE_ENV=production'];
  return `${[head.map((line) => `# ${line}`), ...blocks, production].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** The text of `schema/settings.schema.json`: a JSON Schema of the environment as a map of names to values. */
export function settingsSchema(): string {
  const known = settings.flatMap((setting): [string, object][] => {
    const property: [string, object] = [setting.name, propertyOf(setting)];
    const description = `path of a file with the value of ${setting.name}`;
    return setting.secret ? [property, [`${setting.name}_FILE`, { description, type: 'string' }]] : [property];
  });
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Settings of customer-gateway',
    description:
      'Environment variables. `customer-gateway config --check` also checks URLs, files, and the rules between several settings.',
    type: 'object',
    properties: {
      ...Object.fromEntries(known),
      NODE_ENV: {
        description: 'production: disables the sandbox, introspection and GraphiQL',
        type: 'string',
        examples: ['production'],
      },
    },
    propertyNames: {
      anyOf: [
        { not: { pattern: '^(JUSPAY|AUTH|LIMIT)_' } },
        { enum: known.map(([name]) => name).filter((name) => /^(JUSPAY|AUTH|LIMIT)_/.test(name)) },
        // The variables that Kubernetes injects for a Service.
        { pattern: '_SERVICE_HOST$|_SERVICE_PORT(_|$)|_PORT$|_PORT_\\d+_(TCP|UDP|SCTP)(_|$)' },
      ],
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function describe({ default: byDefault, meaning }: Setting): string {
  return `${meaning}\nDefault: ${byDefault}`;
}

/** A value that the setting accepts. */
function exampleOf({ name, default: byDefault }: Setting): string {
  const example = examples[name as SettingName] ?? byDefault.replaceAll('`', '');
  if (/^(unset|required|none)\b|[\s;]/.test(example)) {
    throw new Error(`The default of ${name} is not a value: add an example to tools/settings-files.ts.`);
  }
  return example;
}

function propertyOf(setting: Setting): object {
  const type = Environment.shape[setting.name as SettingName];
  // The pattern of a date is exact, and works without support for formats.
  const { $schema: _, format: __, ...text } = z.toJSONSchema(type, { io: 'input', unrepresentable: 'any' });
  const { minimum, maximum } = z.toJSONSchema(type, { io: 'output', unrepresentable: 'any' });
  const values =
    minimum === undefined || maximum === undefined
      ? [text]
      : [
          { type: 'integer', minimum, maximum },
          { type: 'string', pattern: patternOf(minimum, maximum) },
        ];
  const injected = /(^|_)PORT$/.test(setting.name) ? [{ type: 'string', pattern: '^(tcp|udp|sctp)://\\S+:\\d+$' }] : [];
  return {
    description: describe(setting),
    ...(!setting.secret && { examples: [exampleOf(setting)] }),
    // An empty variable counts as unset.
    anyOf: [...values, ...injected, { const: '' }],
  };
}

/** A pattern for the whole numbers from `min` to `max`, with at most 10 digits. */
function patternOf(min: number, max: number): string {
  const below = min > 0 ? `(?!0*(?:${upTo(String(min - 1))})$)` : '';
  return `^(?=\\d{1,10}$)${below}0*(?:${upTo(String(max))})$`;
}

/** Alternatives for the numbers up to `max`, without leading zeros. */
function upTo(max: string): string {
  const any = (count: number) => (count === 0 ? '' : count === 1 ? '\\d' : `\\d{${count}}`);
  const shorter = max.length > 1 ? [`\\d{1,${max.length - 1}}`] : [];
  const smaller = [...max].flatMap((digit, index) => {
    const rest = any(max.length - index - 1);
    return digit === '0' ? [] : [`${max.slice(0, index)}[0-${Number(digit) - 1}]${rest}`];
  });
  return [...shorter, ...smaller, max].join('|');
}
