import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Output, outputOf } from '../program.ts';

// Builds deploy/Dockerfile with buildah and runs the result as a container runtime does, without a Docker engine and without a registry of
// images. The base images cannot be pulled, so they are replaced by stand-ins that are made from this machine's files.

const tag = 'localhost/customer-gateway';

/** The configuration of the image that the Dockerfile sets. */
export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly StopSignal: string;
  readonly ExposedPorts: Readonly<Record<string, unknown>>;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

export interface Image {
  readonly config: ImageConfig;
  /** The path of the image's file system. */
  readonly root: string;
  run(command: readonly string[], environment: Record<string, string>, secrets?: string): Process;
  remove(): void;
}

export interface Process extends Output {
  /** Sends a signal to the process, which is number 1 of its namespace as in a container. */
  signal(name: NodeJS.Signals): void;
  /** Ends the process and its namespace, if it still runs. */
  kill(): void;
}

/** Programs run as root: `chroot` and mounts need it. */
function asRoot(command: string, words: readonly string[]): [string, string[]] {
  return process.getuid?.() === 0 ? [command, [...words]] : ['sudo', ['-n', '-E', command, ...words]];
}

function run(command: string, ...words: string[]): string {
  return execFileSync(...asRoot(command, words), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
}

/**
 * Builds the image.
 *
 * @param packed a folder with the unpacked npm package in `package`, which replaces the stage of that name: its `npm ci` installs all
 *   development packages. `undefined` builds the stage too.
 */
export function buildImage(packed: string | undefined): Image {
  const home = mkdtempSync(join(tmpdir(), 'image-'));
  const buildah = (driver: string, ...words: string[]) =>
    run('buildah', '--storage-driver', driver, '--root', join(home, 'root'), '--runroot', join(home, 'run'), ...words);
  const driver = driverOf(home);
  const make = (name: string, fill: (root: string) => readonly string[]) => {
    const container = buildah(driver, 'from', 'scratch');
    const settings = fill(buildah(driver, 'mount', container));
    if (settings.length > 0) buildah(driver, 'config', ...settings.flatMap((value) => ['--env', value]), container);
    buildah(driver, 'commit', '-q', container, name);
    buildah(driver, 'rm', container);
  };
  make('localhost/build-stand-in', fillBuildImage);
  make('localhost/runtime-stand-in', fillRuntimeImage);
  const npmrc = join(homedir(), '.npmrc');
  buildah(
    driver,
    ...['build', '--isolation', 'chroot', '--pull-never', '--format', 'docker', '-f', 'deploy/Dockerfile', '-t', tag],
    ...['--build-arg', 'BUILD_IMAGE=localhost/build-stand-in'],
    ...['--build-arg', 'RUNTIME_IMAGE=localhost/runtime-stand-in'],
    ...(existsSync(npmrc) ? ['--secret', `id=npmrc,src=${npmrc}`] : []),
    ...(packed === undefined ? [] : ['--build-context', `package=${packed}`]),
    '.',
  );
  const config = buildah(driver, 'inspect', '--type', 'image', '--format', '{{.Config}}', tag);
  const root = buildah(driver, 'mount', buildah(driver, 'from', '--pull-never', tag));
  return {
    config: (JSON.parse(config) as { config: ImageConfig }).config,
    root,
    run: (command, environment, secrets) => start(root, command, environment, secrets),
    remove() {
      buildah(driver, 'rm', '--all');
      run('rm', '-rf', home);
    },
  };
}

/** `overlay` copies less, but not every file system supports it. */
function driverOf(home: string): string {
  const probe = join(home, 'probe');
  const words = ['--storage-driver', 'overlay', '--root', join(probe, 'root'), '--runroot', join(probe, 'run')];
  try {
    const container = run('buildah', ...words, 'from', 'scratch');
    run('buildah', ...words, 'mount', container);
    run('buildah', ...words, 'rm', container);
    return 'overlay';
  } catch {
    return 'vfs';
  }
}

function librariesOf(program: string): string[] {
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  return [...text.matchAll(/(\/\S+)/g)].map(([path = '']) => path);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(realpathSync(from), to, { recursive: true });
}

/** Node and npm of this machine, and what the Dockerfile calls. Stands for the image `node`. */
function fillBuildImage(root: string): string[] {
  const programs = ['sh', 'env', 'tar', 'gzip', 'mkdir'];
  for (const name of programs) {
    const path = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
    copy(path, join(root, 'bin', name));
    for (const library of librariesOf(path)) copy(library, join(root, library));
  }
  copy(process.execPath, join(root, 'usr/local/bin/node'));
  for (const library of librariesOf(process.execPath)) copy(library, join(root, library));
  const npm = realpathSync(execFileSync('sh', ['-c', 'command -v npm'], { encoding: 'utf8' }).trim());
  copy(dirname(dirname(npm)), join(root, 'usr/local/lib/node_modules/npm'));
  symlinkSync('../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm'));
  for (const folder of ['etc', 'root', 'tmp', 'usr/bin']) mkdirSync(join(root, folder), { recursive: true });
  symlinkSync('/bin/env', join(root, 'usr/bin/env'));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  const { NODE_EXTRA_CA_CERTS: authorities } = process.env;
  if (authorities !== undefined) copy(authorities, join(root, authorities));
  return [
    'PATH=/usr/local/bin:/usr/bin:/bin',
    ...(authorities === undefined ? [] : [`NODE_EXTRA_CA_CERTS=${authorities}`]),
  ];
}

/** The C libraries that Node needs and nothing else. Stands for the image `distroless/cc`. */
function fillRuntimeImage(root: string): string[] {
  for (const library of librariesOf(process.execPath)) copy(library, join(root, library));
  for (const folder of ['dev', 'proc', 'run/secrets', 'tmp']) mkdirSync(join(root, folder), { recursive: true });
  return [];
}

/** Mounts the image read-only in namespaces of its own, and starts the command as the user of the image. */
function start(
  root: string,
  command: readonly string[],
  environment: Record<string, string>,
  secrets?: string,
): Process {
  const script = `set -e
    mount --bind "$0" "$0"
    mount -t proc proc "$0/proc"
    mount --rbind /dev "$0/dev"
    if [ -n "$1" ]; then mount --bind "$1" "$0/run/secrets"; mount -o remount,bind,ro "$0/run/secrets"; fi
    mount -o remount,bind,ro "$0"
    shift
    exec env -i "$@"`;
  const settings = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const chroot = ['/usr/sbin/chroot', '--userspec=65532:65532', '--groups=', root];
  const namespaces = ['--mount', '--pid', '--ipc', '--uts', '--fork'];
  const child: ChildProcess = spawn(
    ...asRoot('unshare', [...namespaces, 'sh', '-c', script, root, secrets ?? '', ...settings, ...chroot, ...command]),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const signal = (name: NodeJS.Signals) => {
    const children = (pid: number) =>
      readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
    let pid = child.pid ?? 0;
    // `sudo`, if any, then `unshare`, then the first process of the namespace.
    while (/^NSpid:\s\d+$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) pid = children(pid)[0] ?? 0;
    run('kill', `-${name.replace('SIG', '')}`, String(pid));
  };
  return {
    ...outputOf(child),
    signal,
    kill() {
      // The first process of the namespace outlives `unshare` after a change of its user.
      if (child.exitCode === null && child.signalCode === null) signal('SIGKILL');
    },
  };
}

/** Unpacks the npm package of this checkout. @returns the folder that holds `package`. */
export function pack(): string {
  const folder = mkdtempSync(join(tmpdir(), 'packed-'));
  // Skip `prepack`: it would rebuild `dist` while other tests use it.
  execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder]);
  execFileSync('sh', ['-c', `tar -xzf ${folder}/*.tgz -C ${folder} && rm ${folder}/*.tgz`]);
  return folder;
}

export const removeFolder = (folder: string): void => rmSync(folder, { recursive: true, force: true });
