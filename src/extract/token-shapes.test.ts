import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { mayHoldToken, tokenShapes, withoutTokens } from './token-shapes.ts';

const letters = 'aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0xR';
const long = (length: number): string => letters.repeat(10).slice(0, length);
// Put together here, so that no scanner takes this file for a leak.
const t = (...parts: readonly string[]): string => parts.join('');
const pem = (kind: string): string => t('-----BEGIN ', kind, '-----\n', long(64), '\n', long(40), '==\n-----END ', kind, '-----\n');
const jwt = t('ey', 'JhbGciOiJIUzI1NiJ9.', 'ey', 'JzdWIiOiIxMjM0NTY3ODkwIn0.', long(43));

/** What becomes of a text: `•` for each secret. */
const masked = (text: string): string => withoutTokens(text, () => '•');

describe('tokenShapes', () => {
  const found: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    'GitHub token': [
      ...['ghp', 'gho', 'ghu', 'ghs', 'ghr'].map((kind) => [t(kind, '_', long(36)), '•'] as const),
      [
        t('git clone https://x-access-token:', 'ghp', '_', long(36), '@github.com/a/b'),
        'git clone https://x-access-token:•@github.com/a/b',
      ],
    ],
    'GitHub fine-grained token': [[t('TOKEN=github', '_pat_', long(22), '_', long(59), ' make'), 'TOKEN=• make']],
    'GitLab token': [
      [t('gl', 'pat-', long(20)), '•'],
      [t('gl', 'rt-t1_', long(24)), '•'],
    ],
    'AWS access key': [
      [t('AK', 'IAIOSFODNN7EXAMPLE'), '•'],
      [t('AS', 'IAIOSFODNN7EXAMPLE, x'), '•, x'],
    ],
    'AWS secret key': [
      [t('aws_secret_access_key = ', long(40), '\n'), 'aws_secret_access_key = •\n'],
      [t('{"AWS_SECRET_ACCESS_KEY":"', long(40), '"}'), '{"AWS_SECRET_ACCESS_KEY":"•"}'],
      [t('{\\"awsSecretAccessKey\\": \\"', long(40), '\\"}'), '{\\"awsSecretAccessKey\\": \\"•\\"}'],
    ],
    'Slack token': [[t('xo', 'xb-123456789012-', long(24)), '•']],
    'Slack webhook': [[t('https://hooks.slack.com/services/', 'T00000000/B00000000/', long(24)), 'https://hooks.slack.com/services/•']],
    'Google API key': [[t('key=AI', 'za', long(35), '&x'), 'key=•&x']],
    'Google OAuth token': [[t('ya', '29.', long(60)), '•']],
    'npm token': [[t('//registry.example/:_authToken=np', 'm_', long(36)), '//registry.example/:_authToken=•']],
    'PyPI token': [[t('py', 'pi-AgEIcHlwaS5vcmc', long(80)), '•']],
    'Docker Hub token': [[t('dc', 'kr_pat_', long(27)), '•']],
    'HashiCorp Vault token': [[t('hv', 's.', long(90)), '•']],
    'Stripe key': [[t('sk', '_live_', long(24)), '•']],
    'JSON web token': [
      [jwt, '•'],
      [t('Authorization: Bearer ', jwt), 'Authorization: Bearer •'],
    ],
    'Docker configuration': [
      [t('{"auths":{"r.io":{"auth":"', long(24), '"}}}'), '{"auths":{"r.io":{"auth":"•"}}}'],
      [t('{\\"auths\\":{\\"r.io\\":{\\"auth\\": \\"', long(24), '\\"}}}'), '{\\"auths\\":{\\"r.io\\":{\\"auth\\": \\"•\\"}}}'],
      [Buffer.from(t('{"auths":{"r.io":{"auth":"', long(24), '"}}}')).toString('base64'), '•'],
    ],
    'Azure shared access signature': [
      [t('https://a.blob.core.windows.net/c?sv=2022&sig=', long(43), '%3D&se=1'), 'https://a.blob.core.windows.net/c?sv=2022&sig=•&se=1'],
    ],
    'Azure account key': [[t('AccountName=a;AccountKey=', long(86), '==;x'), 'AccountName=a;AccountKey=•;x']],
    'private key': [
      ...['PRIVATE KEY', 'RSA PRIVATE KEY', 'OPENSSH PRIVATE KEY', 'ENCRYPTED SIGSTORE PRIVATE KEY', 'PGP PRIVATE KEY BLOCK'].map(
        (kind) => [`a\n${pem(kind)}b`, 'a\n•\nb'] as const,
      ),
      [pem('EC PRIVATE KEY').replaceAll('\n', '\\n'), '•\\n'],
      [pem('PRIVATE KEY').slice(0, 100), '•'],
    ],
    'age key': [[t('AGE-SECRET', '-KEY-1', long(58).toUpperCase()), '•']],
    'password in a URL': [
      ['https://bob:s3cr3t@git.example/a.git', 'https://bob:•@git.example/a.git'],
      ['see postgres://app:hunter2@db:5432/app, and', 'see postgres://app:•@db:5432/app, and'],
      ['https://:s3cr3t@git.example', 'https://:•@git.example'],
    ],
  };
  for (const { name } of tokenShapes) {
    it(`finds every ${name}`, () => {
      assert.ok(found[name]?.length, 'the table has examples of it');
      for (const [text, want] of found[name]) {
        assert.equal(masked(text), want);
        assert.equal(mayHoldToken(text), true);
      }
    });
  }

  const ordinary = {
    'a digest': `sha256:${'0123456789abcdef'.repeat(4)}`,
    'a bare digest': createHash('sha512').update('x').digest('hex'),
    'a commit': createHash('sha1').update('x').digest('hex'),
    'base64 of ordinary data': Buffer.from(JSON.stringify({ alg: 'none', text: long(300) })).toString('base64'),
    'base64url of ordinary data': Buffer.from(JSON.stringify({ text: long(300) })).toString('base64url'),
    'a public key': pem('PUBLIC KEY'),
    'a certificate': pem('CERTIFICATE'),
    'an SSH public key': `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${long(43)} bob@example`,
    'a search for private keys': 'if grep -q -- "-----BEGIN RSA PRIVATE KEY-----" "$file"; then exit 1; fi',
    'an image with tag and digest': `docker-pullable://registry:v1.2@sha256:${'a'.repeat(64)}`,
    'an image on a port': `oci://localhost:5000/a/b@sha256:${'a'.repeat(64)}`,
    'a git URL with a user': 'git+ssh://git@github.com:22/a/b.git',
    'a URL with a variable for its password': 'https://user:$(params.token)@h/x https://user:${TOKEN}@h/x https://user:<token>@h',
    'a commit range': 'https://h/a/compare/v1.0...v2.0',
    'a UUID': '123e4567-e89b-12d3-a456-426614174000',
    'names of variables': 'GITHUB_TOKEN NPM_TOKEN AWS_SECRET_ACCESS_KEY=$AWS_SECRET aws_secret_access_key: $(params.key)',
    'prefixes alone': 'ghp_ github_pat_ glpat- xoxb- AIza npm_ pypi- eyJ. AKIA sig= "auth": ""',
    'a short signature': 'https://h/?sig=abc',
    'the middle of a longer word': t('x', 'AK', 'IAIOSFODNN7EXAMPLEx', ' xgh', 'p_', long(36)),
    'a purl': `pkg:npm/%40scope/pkg@1.2.3?repository_url=https://r.io`,
    'two words of a token': t('ey', 'JhbGciOiJIUzI1NiJ9.', 'ey', 'JzdWIiOiIxMjM0NTY3ODkwIn0'),
  };
  for (const [name, text] of Object.entries(ordinary)) {
    it(`leaves ${name}`, () => assert.equal(masked(text), text));
  }

  it('leaves random digests, hex and base64', () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
    const encoding = fc.constantFrom<'hex' | 'base64' | 'base64url'>('hex', 'base64', 'base64url');
    fc.assert(
      fc.property(bytes, encoding, (buffer, how) => {
        const text = buffer.toString(how);
        assert.equal(masked(text), text);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes time in proportion to the text, whatever it is', () => {
    const size = 1_000_000;
    const bad = [
      '://',
      '://a:',
      'eyJ',
      'eyJaaaaaaaa.',
      'ghp_',
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN PRIVATE KEY-----\n' + 'A'.repeat(40),
      'aws_secret_key  ',
      '"auth":"',
      '-',
      'A',
      'secret=',
      'xoxb-',
      '&sig=',
    ];
    for (const piece of bad) {
      const text = piece.repeat(size / piece.length);
      const startedAt = performance.now();
      masked(text);
      assert.ok(performance.now() - startedAt < 3_000, piece);
    }
  });
});
