import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** An object of Kubernetes. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; namespace?: string };
  readonly [field: string]: unknown;
}

interface Kustomization {
  readonly namespace?: string;
  readonly resources: readonly string[];
  readonly images?: readonly { readonly name: string; readonly newName: string; readonly newTag: string }[];
  readonly patches?: readonly { readonly path: string }[];
}

/** The fields that {@link build} supports. `deploy/kubernetes` uses no others, so that it needs no program. */
const supported = ['apiVersion', 'kind', 'namespace', 'resources', 'images', 'patches'];

/** The key that identifies the items of a list, as the published types say (`x-kubernetes-patch-merge-key`). */
const mergeKeys: Readonly<Record<string, string>> = { containers: 'name', env: 'name', volumes: 'name' };

/** Kubernetes reads YAML 1.1, where 0440 is octal. */
const read = (path: string): unknown => parse(readFileSync(path, 'utf8'), { version: '1.1', strict: true });

/** The objects of a folder with a `kustomization.yaml`: the subset of Kustomize that `deploy/kubernetes` uses. */
export function build(folder: string): KubernetesObject[] {
  const kustomization = read(join(folder, 'kustomization.yaml')) as Kustomization;
  const unknown = Object.keys(kustomization).filter((field) => !supported.includes(field));
  if (unknown.length > 0) throw new Error(`${folder}: unsupported ${unknown.join(', ')}`);
  const { resources, namespace, images = [], patches = [] } = kustomization;
  let objects = resources.flatMap((path) => {
    const full = join(folder, path);
    return statSync(full).isDirectory() ? build(full) : [read(full) as KubernetesObject];
  });
  for (const { path } of patches) {
    const patch = read(join(folder, path)) as KubernetesObject;
    const matches = (object: KubernetesObject) =>
      object.kind === patch.kind && object.metadata.name === patch.metadata.name;
    if (!objects.some(matches)) throw new Error(`${join(folder, path)}: no such object`);
    objects = objects.map((object) => (matches(object) ? (merged(object, patch) as KubernetesObject) : object));
  }
  objects = objects.map((object) => withImages(object, images) as KubernetesObject);
  return namespace === undefined
    ? objects
    : objects.map((object) => ({ ...object, metadata: { ...object.metadata, namespace } }));
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A strategic merge patch, without directives. */
function merged(value: unknown, patch: unknown, field = ''): unknown {
  const key = mergeKeys[field];
  if (Array.isArray(value) && Array.isArray(patch) && key !== undefined) {
    const items = value as Record<string, unknown>[];
    const patches = patch as Record<string, unknown>[];
    const added = patches.filter((item) => !items.some((other) => other[key] === item[key]));
    const changed = items.map((item) => {
      const change = patches.find((other) => other[key] === item[key]);
      return change === undefined ? item : merged(item, change);
    });
    // Kustomize puts new items first.
    return [...added, ...changed];
  }
  if (!isRecord(value) || !isRecord(patch)) return patch;
  const result = { ...value };
  for (const [name, change] of Object.entries(patch)) {
    result[name] = name in value ? merged(value[name], change, name) : change;
  }
  return result;
}

function withImages(value: unknown, images: NonNullable<Kustomization['images']>): unknown {
  if (Array.isArray(value)) return value.map((item) => withImages(item, images));
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      const image = name === 'image' ? images.find((candidate) => candidate.name === item) : undefined;
      return [name, image === undefined ? withImages(item, images) : `${image.newName}:${image.newTag}`];
    }),
  );
}
