// Checks for the programs that the tests need and npm cannot install. Installs missing programs on Debian, and fails with instructions
// elsewhere, because no test is skipped.
import { spawnSync } from 'node:child_process';

const programs = [
  { name: 'Chromium', commands: ['chromium', 'chromium-browser', 'google-chrome'], debian: 'chromium' },
  { name: 'a C compiler', commands: ['cc'], debian: 'gcc libc6-dev' },
  { name: 'Redis', commands: ['redis-server'], debian: 'redis-server' },
  { name: 'HAProxy', commands: ['haproxy', '/usr/sbin/haproxy'], debian: 'haproxy' },
  { name: 'nginx', commands: ['nginx', '/usr/sbin/nginx'], debian: 'nginx' },
  // Container images and systemd units exist on Linux only.
  ...(process.platform === 'linux'
    ? [
        { name: 'Buildah', commands: ['buildah'], debian: 'buildah' },
        { name: 'systemd-analyze', commands: ['systemd-analyze'], debian: 'systemd' },
        { name: 'ss', commands: ['ss', '/usr/sbin/ss'], debian: 'iproute2' },
      ]
    : []),
  { name: 'Prometheus', commands: ['promtool'], debian: 'prometheus' },
  { name: 'curl', commands: ['curl'], debian: 'curl' },
  { name: 'jq', commands: ['jq'], debian: 'jq' },
];

const has = (command) => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0;
const missing = programs.filter(({ commands }) => !commands.some(has));

if (missing.length > 0) {
  const names = missing.map(({ name, debian }) => `${name} (Debian: ${debian})`).join(', ');
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const mayInstall = has('apt-get') && (asRoot.length === 0 || spawnSync('sudo', ['-n', 'true']).status === 0);
  if (!mayInstall) {
    console.error(`The tests need ${names}. Install it; this script can do so only on Debian as root or with sudo.`);
    process.exit(1);
  }
  console.error(`Installing ${names} …`);
  const run = (...commandLine) => {
    const [command, ...rest] = [...asRoot, ...commandLine];
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    return spawnSync(command, rest, { stdio: ['ignore', 'ignore', 'inherit'], env }).status === 0;
  };
  const install = () =>
    run('apt-get', 'update', '-q') &&
    run(
      'apt-get',
      'install',
      '-y',
      '-q',
      '--no-install-recommends',
      ...missing.flatMap(({ debian }) => debian.split(' ')),
    );
  // Package mirrors fail temporarily.
  if (!install() && !install() && !install()) {
    console.error(`${names} could not be installed with apt-get. Install it by hand and run again.`);
    process.exit(1);
  }
}
