import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { startAzureVault, type AzureVault } from '../servers/azure-vault.ts';
import { startFaultProxy, type Fault, type FaultProxy } from '../servers/fault-proxy.ts';
import { googleKeyName, startGoogleKms, type GoogleKms } from '../servers/google-kms.ts';
import { missingMoto, startMoto, type Moto } from '../servers/moto.ts';
import { scratch } from '../servers/scratch.ts';
import { assertHidden, assertManyVerify, ctx, failureOf, openKms, reachAzure, setEnvironment, short } from './signer-kms-world.ts';

const text = Buffer.from('some bytes');

describe('a key in AWS KMS (moto)', { skip: await missingMoto() }, () => {
  let moto: Moto;
  let proxy: FaultProxy;
  const secrets = ['AKIACANARYCANARYCANA', 'canary/secret/access/key', 'canary-session-token'];
  before(async () => {
    moto = await startMoto();
    proxy = await startFaultProxy(new URL(moto.url).host);
    const [AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = ''] = secrets;
    setEnvironment({ AWS_ENDPOINT_URL_KMS: proxy.url, AWS_REGION: 'eu-central-1', AWS_EC2_METADATA_DISABLED: 'true' });
    setEnvironment({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN });
  });
  after(async () => {
    await proxy[Symbol.asyncDispose]();
    await moto[Symbol.asyncDispose]();
  });

  it('goes by id, alias and ARN, and keeps the key that an alias pointed to', async () => {
    const [first, second] = [await moto.makeKey('ECC_NIST_P256'), await moto.makeKey('ECC_NIST_P256')];
    await moto.pointAlias('team/signer', first);
    await using byId = await openKms({ ref: `awskms:///${first}` });
    await using byArn = await openKms({ ref: `awskms:///arn:aws:kms:eu-central-1:123456789012:key/${first}` });
    await using byAlias = await openKms({ ref: 'awskms:///alias/team/signer' });
    assert.deepEqual([byArn.publicKey, byAlias.publicKey], [byId.publicKey, byId.publicKey]);

    await moto.pointAlias('team/signer', second);

    assert.deepEqual([await byId.isCurrent(ctx), await byAlias.isCurrent(ctx)], [true, false]);
    await assertManyVerify(byAlias, 2);
  });

  it('is refused when it cannot sign, or is not there', async () => {
    const refs = [
      `awskms:///${await moto.makeKey('RSA_2048', 'ENCRYPT_DECRYPT')}`,
      `awskms:///${await moto.makeKey('ECC_SECG_P256K1')}`,
      'awskms:///00000000-0000-4000-8000-000000000000',
      'awskms:///alias/none',
      'awskms://alias/none',
      'awskms:///a b',
    ];

    const errors = [];
    for (const ref of refs) errors.push(short(await failureOf(openKms({ ref }))));

    const missing = 'sign.kms-no-key later kms:awskms:default';
    assert.deepEqual(errors, [
      'sign.kms-key-type never',
      'sign.kms-key-type never',
      missing,
      missing,
      'sign.kms-ref never',
      'sign.kms-ref never',
    ]);
  });

  const refusal = (type: string, status = 400): Fault => ({
    kind: 'status',
    status,
    body: JSON.stringify({ __type: type, message: secrets.join(' ') }),
  });
  const faults: readonly { readonly name: string; readonly fault: Fault; readonly want: string }[] = [
    { name: 'denies it', fault: refusal('AccessDeniedException'), want: 'sign.kms-refused' },
    { name: 'no longer takes the credentials', fault: refusal('ExpiredTokenException'), want: 'sign.kms-refused' },
    { name: 'throttles', fault: refusal('ThrottlingException'), want: 'sign.kms-busy' },
    { name: 'has disabled the key', fault: refusal('DisabledException'), want: 'sign.kms-disabled' },
    { name: 'fails', fault: refusal('KMSInternalException', 500), want: 'sign.kms-unavailable' },
    { name: 'is away', fault: { kind: 'refuse' }, want: 'sign.kms-unreachable' },
    { name: 'hangs', fault: { kind: 'hang' }, want: 'sign.kms-timeout' },
    { name: 'gives nonsense', fault: { kind: 'lie', body: '{}' }, want: 'sign.kms-protocol' },
  ];
  for (const { name, fault, want } of faults) {
    it(`waits when the service ${name}, without a word of it`, async () => {
      await using signer = await openKms({ ref: `awskms:///${await moto.makeKey('ECC_NIST_P256')}` });
      await proxy.set(fault);

      const error = await failureOf(signer.sign(text, ctx));

      await proxy.set({ kind: 'none' });
      assert.equal(short(error), `${want} later kms:awskms:default`);
      assertHidden(secrets, error);
      await assertManyVerify(signer, 2);
    });
  }

  it('wants a region and credentials', async () => {
    const ref = `awskms:///${await moto.makeKey('ECC_NIST_P256')}`;
    const { AWS_REGION, AWS_ACCESS_KEY_ID } = process.env;
    try {
      delete process.env['AWS_REGION'];
      assert.equal(short(await failureOf(openKms({ ref }))), 'sign.kms-address never');
      setEnvironment({ AWS_REGION: AWS_REGION ?? '' });
      delete process.env['AWS_ACCESS_KEY_ID'];
      assert.equal(short(await failureOf(openKms({ ref }))), 'sign.kms-refused later kms:awskms:default');
    } finally {
      setEnvironment({ AWS_REGION: AWS_REGION ?? '', AWS_ACCESS_KEY_ID: AWS_ACCESS_KEY_ID ?? '' });
    }
  });
});

describe('a key in Google Cloud KMS (imitated: its REST API)', () => {
  let google: GoogleKms;
  before(async () => {
    google = await startGoogleKms();
    setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: google.credentialsFile });
  });
  after(async () => await google[Symbol.asyncDispose]());
  const options = (key: string, address = google.url) => ({ ref: `gcpkms://${googleKeyName(key)}`, auth: { address } });

  it('is its newest enabled version by number, or the one that is named', async () => {
    const names: string[] = [];
    for (let count = 1; count <= 11; count += 1) names.push(await google.addVersion('many', 'P-256'));
    google.setState(names[10] ?? '', 'DISABLED');
    await using tenth = await openKms(options('many'));
    const named = options('many');
    await using byName = await openKms({ ...named, ref: `${named.ref}/cryptoKeyVersions/10` });
    await using byOtherName = await openKms({ ...named, ref: `${named.ref}/versions/10` });
    assert.deepEqual([byName.publicKey, byOtherName.publicKey], [tenth.publicKey, tenth.publicKey]);

    google.setState(names[10] ?? '', 'ENABLED');

    assert.deepEqual([await tenth.isCurrent(ctx), await byName.isCurrent(ctx)], [false, true]);
    await assertManyVerify(tenth, 2);
    await using eleventh = await openKms(options('many'));
    assert.equal(await eleventh.owns({ publicKey: tenth.publicKey ?? '', certificate: '' }, ctx), true);
  });

  it('is refused when it cannot sign as every verifier wants it', async () => {
    await google.addVersion('pss', 'RSA-2048', 'RSA_SIGN_PSS_2048_SHA256');
    await google.addVersion('sha512', 'RSA-4096', 'RSA_SIGN_PKCS1_4096_SHA512');
    google.setState(await google.addVersion('off', 'P-256'), 'DISABLED');
    const refs = ['pss', 'sha512', 'off', 'none'].map((key) => options(key));
    const bad = { ref: 'gcpkms://projects/p/keyRings/r/cryptoKeys/k' };

    const errors = [];
    for (const one of [...refs, bad]) errors.push(short(await failureOf(openKms(one))));

    const disabled = 'sign.kms-disabled later kms:gcpkms:127.0.0.1:PORT';
    assert.deepEqual(errors, ['sign.kms-key-type never', 'sign.kms-key-type never', disabled, disabled, 'sign.kms-ref never']);
  });

  it('signs at most 64 KiB with Ed25519', async () => {
    await google.addVersion('ed', 'Ed25519');
    await using signer = await openKms(options('ed'));

    const error = await failureOf(signer.sign(Buffer.alloc(65_537), ctx));

    assert.equal(short(error), 'sign.kms-key-type never');
  });

  for (const [fault, want] of [
    ['crc', 'sign.kms-protocol'],
    ['request-crc', 'sign.kms-protocol'],
    ['other-key', 'sign.kms-wrong-key'],
  ] as const) {
    it(`does not count with the fault ${fault}`, async () => {
      await google.addVersion(fault, 'P-256');
      await using signer = await openKms(options(fault));
      google.setFault(fault);

      const error = await failureOf(signer.sign(text, ctx));

      google.setFault(undefined);
      assert.equal(short(error), `${want} later kms:gcpkms:127.0.0.1:PORT`);
    });
  }

  it('waits when the service denies, throttles, fails or is away, with one token all the time', async () => {
    await google.addVersion('waits', 'P-256');
    await using proxy = await startFaultProxy(new URL(google.url).host);
    await using signer = await openKms(options('waits', proxy.url));
    const given = google.tokensGiven();
    const body = JSON.stringify({ error: { status: 'PERMISSION_DENIED', message: google.secrets().join(' ') } });
    const errors = [];
    for (const fault of [
      { kind: 'status', status: 403, body },
      { kind: 'status', status: 429, retryAfter: 1, body },
      { kind: 'status', status: 503 },
      { kind: 'refuse' },
    ] satisfies Fault[]) {
      await proxy.set(fault);
      errors.push(await failureOf(signer.sign(text, ctx)));
    }
    await proxy.set({ kind: 'none' });

    const codes = ['sign.kms-refused', 'sign.kms-busy', 'sign.kms-unavailable', 'http.unreachable'];
    assert.deepEqual(
      errors.map(short),
      codes.map((code) => `${code} later kms:gcpkms:127.0.0.1:PORT`),
    );
    assert.equal(errors[0]?.message.includes('403 PERMISSION_DENIED'), true);
    assertHidden(google.secrets(), ...errors);
    await assertManyVerify(signer, 5);
    assert.equal(google.tokensGiven(), given);
  });

  it('is refused with credentials that are over, and they are not shown', async () => {
    await using folder = await scratch('google-credentials');
    const subject = 'canary-subject-token-that-is-over';
    await writeFile(path.join(folder.dir, 'token'), subject);
    const credentials = JSON.parse(await readFile(google.credentialsFile, 'utf8')) as object;
    const file = path.join(folder.dir, 'credentials.json');
    await writeFile(file, JSON.stringify({ ...credentials, credential_source: { file: path.join(folder.dir, 'token') } }));
    setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: file });

    const error = await failureOf(openKms(options('waits')));
    setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: path.join(folder.dir, 'none.json') });
    const none = await failureOf(openKms(options('waits')));

    setEnvironment({ GOOGLE_APPLICATION_CREDENTIALS: google.credentialsFile });
    assert.deepEqual([error, none].map(short), [
      'sign.kms-refused later kms:gcpkms:127.0.0.1:PORT',
      'sign.kms-refused later kms:gcpkms:127.0.0.1:PORT',
    ]);
    assertHidden([subject], error, none);
  });
});

describe('a key in Azure Key Vault (imitated: its REST API)', () => {
  let azure: AzureVault;
  before(async () => {
    azure = await startAzureVault();
    reachAzure(azure.caPem);
    setEnvironment({ ...azure.environment, AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' });
  });
  after(async () => await azure[Symbol.asyncDispose]());
  const options = (key: string) => ({ ref: `azurekms://${azure.host}/${key}` });

  it('waits when nobody answers under its name, and when the identity is not ours (first of all: the SDK keeps tokens for the process)', async () => {
    const away = await failureOf(openKms({ ref: 'azurekms://none.vault.test:1/k' }));
    azure.setKnown(false);
    const stranger = await failureOf(openKms(options('none')));
    azure.setKnown(true);

    assert.deepEqual(
      [short(away), short(stranger)],
      ['sign.kms-unreachable later kms:azurekms:none.vault.test:PORT', 'sign.kms-refused later kms:azurekms:team.vault.test:PORT'],
    );
    assertHidden(azure.secrets(), stranger);
  });

  it('is its newest version, or the one that is named', async () => {
    const first = await azure.addVersion('many', 'P-256');
    await using old = await openKms(options('many'));
    await using named = await openKms({ ref: `${options('many').ref}/${first}` });

    await azure.addVersion('many', 'P-256');

    assert.deepEqual([named.publicKey, await old.isCurrent(ctx), await named.isCurrent(ctx)], [old.publicKey, false, true]);
    await assertManyVerify(old, 2);
    await using fresh = await openKms(options('many'));
    assert.equal(await fresh.owns({ publicKey: old.publicKey ?? '', certificate: '' }, ctx), true);
  });

  it('is refused when it may not sign, is not there, or is not named as it should be', async () => {
    await azure.addVersion('encrypt', 'RSA-2048', ['encrypt', 'decrypt']);
    const errors = [];
    for (const one of [options('encrypt'), options('none'), { ref: 'azurekms://vault' }]) errors.push(short(await failureOf(openKms(one))));

    assert.deepEqual(errors, ['sign.kms-key-type never', 'sign.kms-no-key later kms:azurekms:team.vault.test:PORT', 'sign.kms-ref never']);
  });

  it('waits when the service denies, throttles or fails, and gives another key’s signature', async () => {
    await azure.addVersion('waits', 'P-256');
    await using signer = await openKms(options('waits'));
    const given = azure.tokensGiven();
    const errors = [];
    for (const status of [{ status: 403 }, { status: 429, retryAfter: '17' }, { status: 500 }]) {
      azure.setStatus(status);
      errors.push(await failureOf(signer.sign(text, ctx)));
    }
    azure.setStatus(undefined);
    azure.setOtherKey(true);
    errors.push(await failureOf(signer.sign(text, ctx)));
    azure.setOtherKey(false);

    const codes = ['sign.kms-refused', 'sign.kms-busy', 'sign.kms-unavailable', 'sign.kms-wrong-key'];
    assert.deepEqual(
      errors.map(short),
      codes.map((code) => `${code} later kms:azurekms:team.vault.test:PORT`),
    );
    const [, busy] = errors;
    assert.equal(busy !== undefined && 'retryAfterMs' in busy && busy.retryAfterMs, 17_000);
    assertHidden(azure.secrets(), ...errors);
    await assertManyVerify(signer, 5);
    assert.equal(azure.tokensGiven(), given);
  });
});
