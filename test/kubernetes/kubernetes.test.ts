import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { Deployment, type IDeployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { type INetworkPolicy, NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { ConfigMap, Service, ServiceAccount } from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { settings } from '../../src/config/settings.ts';
import { build, type KubernetesObject } from './kustomize.ts';

const folder = 'deploy/kubernetes/production';
const objects = build(folder);

const models = {
  'v1 ServiceAccount': ServiceAccount,
  'v1 Service': Service,
  'v1 ConfigMap': ConfigMap,
  'apps/v1 Deployment': Deployment,
  'autoscaling/v2 HorizontalPodAutoscaler': HorizontalPodAutoscaler,
  'networking.k8s.io/v1 NetworkPolicy': NetworkPolicy,
  'policy/v1 PodDisruptionBudget': PodDisruptionBudget,
} as const;

const typeOf = ({ apiVersion, kind }: KubernetesObject) => `${apiVersion} ${kind}`;

function find<Type>(kind: string): Type {
  const found = objects.filter((object) => object.kind === kind);
  assert.equal(found.length, 1, kind);
  return found[0] as Type;
}

const deployment = find<IDeployment>('Deployment');
const pod = deployment.spec?.template.spec;
const container = pod?.containers[0];
const environment = Object.fromEntries([
  ...Object.entries(find<{ data: Record<string, string> }>('ConfigMap').data),
  ...(container?.env ?? []).map(({ name, value }) => [name, value ?? '']),
]);

test('each object MUST be valid by the published schema of its kind', () => {
  assert.deepEqual(objects.map(typeOf).toSorted(), Object.keys(models).toSorted());
  for (const object of objects) {
    const model = models[typeOf(object) as keyof typeof models];
    // The validators check types and required fields.
    new model(object as never).validate();
  }
});

test('objects MUST NOT hold fields that the published types do not have', (context) => {
  const home = mkdtempSync(join(tmpdir(), 'kubernetes-'));
  context.after(() => rmSync(home, { recursive: true }));
  symlinkSync(resolve('test/kubernetes/node_modules'), join(home, 'node_modules'));
  // Object literals: TypeScript rejects unknown fields of those only. The objects of the base have no namespace.
  const lines = [...objects, ...build('deploy/kubernetes/base')].map((object, index) => {
    const group = object.apiVersion === 'v1' ? 'v1' : object.apiVersion;
    const text = JSON.stringify(object, null, 1);
    return `import type { I${object.kind} as T${index} } from 'kubernetes-models/${group}';\nexport const o${index}: T${index} = ${text};\n`;
  });
  writeFileSync(join(home, 'objects.ts'), lines.join('\n'));
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
  const check = () =>
    spawnSync(
      resolve('node_modules/.bin/tsc'),
      ['--ignoreConfig', '--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', '', 'objects.ts'],
      { cwd: home, encoding: 'utf8' },
    ).stdout;
  assert.equal(check(), '');
  writeFileSync(join(home, 'objects.ts'), lines.join('\n').replace('"readinessProbe"', '"readynessProbe"'));
  assert.match(check(), /readynessProbe/);
});

test('the environment of the pod MUST be valid settings of a production start, without a warning about secrets', () => {
  const names = new Set(settings.flatMap(({ name }) => [name, `${name}_FILE`]));
  assert.deepEqual(
    Object.keys(environment).filter((name) => !names.has(name)),
    [],
  );
  assert.deepEqual(
    settings.filter(({ name, secret }) => secret && name in environment).map(({ name }) => name),
    [],
  );
  const files: Record<string, string> = {
    '/run/secrets/customer-gateway/juspay-api-key': 'key',
    '/run/secrets/customer-gateway/redis-url': 'rediss://:password@redis:6379',
  };
  const config = loadConfig({ NODE_ENV: 'production', ...environment }, (path) =>
    Buffer.from(files[path] ?? assert.fail(path)),
  );
  assert.equal(config.host, '0.0.0.0');
  const ports = Object.fromEntries((container?.ports ?? []).map(({ name, containerPort }) => [name, containerPort]));
  assert.deepEqual(ports, { http: config.port, metrics: config.metricsPort });
  const grace = (pod?.terminationGracePeriodSeconds ?? 0) * 1_000;
  // After the grace time, the gateway takes 500 ms to close connections and at most 1 s to flush the log.
  assert.ok(config.shutdownDelayMs + config.shutdownGraceMs + 1_500 < grace);
  assert.ok(config.shutdownDelayMs >= 2 * 1_000 * (container?.readinessProbe?.periodSeconds ?? 10));
  assert.ok(config.operationTimeoutMs <= config.shutdownGraceMs);
});

test('the pod MUST satisfy the restricted Pod Security Standard', () => {
  assert.equal(pod?.securityContext?.runAsNonRoot, true);
  assert.equal(pod?.securityContext?.seccompProfile?.type, 'RuntimeDefault');
  assert.equal(pod?.containers.length, 1);
  assert.deepEqual(container?.securityContext, {
    allowPrivilegeEscalation: false,
    privileged: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) assert.ok(!(field in (pod ?? {})));
  for (const volume of pod?.volumes ?? []) assert.deepEqual(Object.keys(volume).toSorted(), ['name', 'secret']);
  assert.deepEqual(pod?.volumes?.[0]?.secret, { secretName: 'customer-gateway', defaultMode: 0o440 });
  // The user of the image, so that the group of the secrets is that of the process.
  const [, user] = /^USER (\d+):\1$/m.exec(readFileSync('deploy/Dockerfile', 'utf8')) ?? [];
  const { runAsUser, runAsGroup, fsGroup } = pod?.securityContext ?? {};
  assert.deepEqual([runAsUser, runAsGroup, fsGroup], [Number(user), Number(user), Number(user)]);
});

test('selectors, ports and names of the objects MUST refer to the pods', () => {
  const labels = deployment.spec?.template.metadata?.labels;
  const selectors = [
    deployment.spec?.selector.matchLabels,
    find<{ spec: { selector: object } }>('Service').spec.selector,
    find<{ spec: { selector: { matchLabels: object } } }>('PodDisruptionBudget').spec.selector.matchLabels,
    find<INetworkPolicy>('NetworkPolicy').spec?.podSelector?.matchLabels,
    ...(pod?.topologySpreadConstraints ?? []).map(({ labelSelector }) => labelSelector?.matchLabels),
  ];
  for (const selector of selectors) assert.deepEqual(selector, labels);
  const names = (container?.ports ?? []).map(({ name }) => name);
  const used = [
    ...find<{ spec: { ports: { targetPort: string }[] } }>('Service').spec.ports.map(({ targetPort }) => targetPort),
    ...(find<INetworkPolicy>('NetworkPolicy').spec?.ingress ?? []).flatMap(({ ports = [] }) =>
      ports.map(({ port }) => port),
    ),
    ...[container?.startupProbe, container?.readinessProbe, container?.livenessProbe].map(
      (probe) => probe?.httpGet?.port,
    ),
  ];
  for (const port of used) assert.ok(names.includes(String(port)), String(port));
  const egress = (find<INetworkPolicy>('NetworkPolicy').spec?.egress ?? []).flatMap(({ ports = [] }) =>
    ports.map(({ port }) => port),
  );
  assert.deepEqual(egress, [53, 53, 443, 6379]);
  const scaler = find<{ spec: { minReplicas: number; scaleTargetRef: object } }>('HorizontalPodAutoscaler').spec;
  assert.deepEqual(scaler.scaleTargetRef, {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    name: deployment.metadata?.name,
  });
  // With one pod, the disruption budget would allow no pod at all to be there.
  assert.ok(scaler.minReplicas > 1);
  assert.equal(pod?.serviceAccountName, find<KubernetesObject>('ServiceAccount').metadata.name);
  // Without this, a Service named `juspay` would inject unknown JUSPAY_ variables.
  assert.equal(pod?.enableServiceLinks, false);
});

test('probes MUST use /ready for readiness and /health for liveness', () => {
  const path = (probe: { httpGet?: { path?: string } } | undefined) => probe?.httpGet?.path;
  assert.deepEqual(
    [path(container?.startupProbe), path(container?.readinessProbe), path(container?.livenessProbe)],
    ['/ready', '/ready', '/health'],
  );
});

test('Kustomize itself MUST build the same objects, where kubectl is installed', (context) => {
  if (spawnSync('kubectl', ['kustomize', '--help']).status !== 0) return context.diagnostic('kubectl is not installed');
  const text = execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8' });
  const built = parseAllDocuments(text, { version: '1.1' }).map((document) => document.toJS() as KubernetesObject);
  const byKind = (list: readonly KubernetesObject[]) => list.toSorted((a, b) => a.kind.localeCompare(b.kind));
  assert.deepEqual(byKind(built), byKind(objects));
});
