import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** Creates a self-signed certificate. */
export function selfSigned(...options: string[]): Certificate {
  return inFolder((openssl, read) => {
    const names = ['-subj', '/CN=localhost', '-keyout', 'key.pem', '-out', 'cert.pem'];
    openssl('req', '-x509', ...newKey, '-days', '1', ...names, ...options);
    return { key: read('key.pem'), cert: read('cert.pem') };
  });
}

export interface Authority {
  readonly cert: string;
  /** @param names as in `subjectAltName`: `DNS:provider.test`, `IP:127.0.0.1`. */
  issue(names: string, validity?: 'valid' | 'expired'): Certificate;
}

/** Creates a certificate authority. */
export function createAuthority(): Authority {
  const authority = inFolder((openssl, read) => {
    openssl(
      'req',
      '-x509',
      ...newKey,
      '-days',
      '1',
      '-subj',
      '/CN=authority',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
    );
    return { key: read('key.pem'), cert: read('cert.pem') };
  });
  return {
    cert: authority.cert,
    issue: (names, validity = 'valid') =>
      inFolder((openssl, read, write) => {
        write('ca.key', authority.key);
        write('ca.pem', authority.cert);
        write('index.txt', '');
        write(
          'ca.cnf',
          `[ca]
default_ca=settings
[settings]
database=index.txt
new_certs_dir=.
policy=policy
default_md=sha256
copy_extensions=copy
rand_serial=yes
[policy]
commonName=supplied
`,
        );
        const extension = ['-addext', `subjectAltName=${names}`];
        openssl('req', '-new', ...newKey, '-subj', '/CN=host', ...extension, '-keyout', 'key.pem', '-out', 'request');
        const dates = {
          valid: ['-days', '1'],
          expired: ['-startdate', '20200101000000Z', '-enddate', '20200201000000Z'],
        };
        const signer = ['-config', 'ca.cnf', '-cert', 'ca.pem', '-keyfile', 'ca.key'];
        openssl('ca', '-batch', '-notext', ...signer, '-in', 'request', '-out', 'cert.pem', ...dates[validity]);
        return { key: read('key.pem'), cert: read('cert.pem') };
      }),
  };
}

/** Makes this process trust an authority, like `NODE_EXTRA_CA_CERTS` at its start. */
export function trust({ cert }: Authority): void {
  setDefaultCACertificates([...getCACertificates('default'), cert]);
}

function inFolder<T>(
  make: (
    openssl: (...command: string[]) => void,
    read: (name: string) => string,
    write: (name: string, text: string) => void,
  ) => T,
): T {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'));
  try {
    return make(
      (...command) => execFileSync('openssl', command, { cwd: folder, stdio: 'ignore' }),
      (name) => readFileSync(join(folder, name), 'utf8'),
      (name, text) => writeFileSync(join(folder, name), text),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}
