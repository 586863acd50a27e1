import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TerminalError } from '../../errors.ts';
import { credentialOf, matchingKeys, parseDockerConfig } from './docker-config.ts';
import { parseRepository } from './reference.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('matchingKeys', () => {
  const table = [
    { name: 'a host', keys: ['r.example', 'other.example'], of: 'r.example/a', want: ['r.example'] },
    {
      name: 'URLs with /v1/ and /v2/',
      keys: ['https://r.example/v1/', 'http://r.example/v2/'],
      of: 'r.example/a',
      want: ['https://r.example/v1/', 'http://r.example/v2/'],
    },
    {
      name: 'the longest path first',
      keys: ['r.example', 'r.example/a', 'r.example/a/b'],
      of: 'r.example/a/b',
      want: ['r.example/a/b', 'r.example/a', 'r.example'],
    },
    { name: 'whole components only', keys: ['r.example/ap'], of: 'r.example/app', want: [] },
    {
      name: 'globs of one label, after exact hosts',
      keys: ['*.r.example', 'x.r.example'],
      of: 'x.r.example/a',
      want: ['x.r.example', '*.r.example'],
    },
    { name: 'parts of a label', keys: ['reg*-1.example'], of: 'registry-1.example/a', want: ['reg*-1.example'] },
    { name: 'no glob over two labels', keys: ['*.example'], of: 'x.r.example/a', want: [] },
    { name: 'equal ports only', keys: ['*.example:5000', '*.example'], of: 'r.example:5000/a', want: ['*.example:5000'] },
    {
      name: 'all names of Docker Hub',
      keys: ['https://index.docker.io/v1/', 'docker.io'],
      of: 'busybox',
      want: ['https://index.docker.io/v1/', 'docker.io'],
    },
  ];
  for (const { name, keys, of, want } of table) {
    it(`takes ${name}`, () => assert.deepEqual(matchingKeys(keys, parseRepository(of)), want));
  }
});

describe('credentialOf', () => {
  const basic = { kind: 'basic', username: 'me', password: 'a:b' };
  const table = [
    { name: 'auth', entry: { auth: base64('me:a:b') }, want: basic },
    { name: 'auth without padding', entry: { auth: base64('me:a:b').replaceAll('=', '') }, want: basic },
    { name: 'auth filled with NUL', entry: { auth: base64('me:a:b\0\0') }, want: basic },
    { name: 'user name and password', entry: { username: 'me', password: 'a:b' }, want: basic },
    { name: 'the user <token>', entry: { auth: base64('<token>:t') }, want: { kind: 'identity-token', username: '<token>', token: 't' } },
    {
      name: 'an identity token',
      entry: { auth: base64('me:'), identitytoken: 't' },
      want: { kind: 'identity-token', username: 'me', token: 't' },
    },
    {
      name: 'a registry token before all else',
      entry: { auth: base64('me:x'), registrytoken: 't' },
      want: { kind: 'registry-token', token: 't' },
    },
    { name: 'an empty entry', entry: {}, want: undefined },
    { name: 'null', entry: null, want: undefined },
  ];
  for (const { name, entry, want } of table) {
    it(`reads ${name}`, () => assert.deepEqual(credentialOf(entry, 'r.example', 'config.json'), want));
  }

  for (const auth of ['hunter2!', base64('hunter2')]) {
    it(`refuses auth "${auth}" without showing it`, () => {
      assert.throws(
        () => credentialOf({ auth }, 'r.example', '/x/config.json'),
        new TerminalError(
          'oci.credentials',
          'Cannot read registry credentials "/x/config.json", auths["r.example"]["auth"]: it must be base64 of "user:password"',
          {
            fix: 'mend the file, or make it anew with "docker login" or "kubectl create secret docker-registry"',
          },
        ),
      );
    });
  }
});

describe('parseDockerConfig', () => {
  it('takes what it needs and leaves the rest', () => {
    const text = JSON.stringify({ auths: { r: { auth: '', email: 'x' } }, credsStore: '', HttpHeaders: {}, currentContext: 'x' });

    assert.deepEqual(parseDockerConfig(text, 'f'), { auths: { r: { auth: '' } }, credHelpers: {}, credsStore: undefined });
  });

  const refused = [
    { name: 'what is not JSON', text: '{"auths": {"r": hunter2}}', place: 'the text' },
    { name: 'what stops being JSON', text: '{\n  "auths" "hunter2"}', place: 'line 2 column 11' },
    { name: 'a list', text: '["hunter2"]', place: 'the top level' },
    { name: 'a number for a text', text: '{"auths":{"r.example":{"password":5}}}', place: 'auths["r.example"]["password"]' },
    { name: 'a helper with a path', text: '{"credsStore":"../hunter2"}', place: 'credsStore' },
  ];
  for (const { name, text, place } of refused) {
    it(`refuses ${name} with its place and no value`, () => {
      assert.throws(
        () => parseDockerConfig(text, '/x/config.json'),
        (error: unknown) => {
          assert.ok(error instanceof TerminalError);
          assert.equal(error.code, 'oci.credentials');
          assert.ok(error.message.startsWith(`Cannot read registry credentials "/x/config.json", ${place}: `), error.message);
          assert.doesNotMatch(`${error.message}${String(error.cause)}`, /hunter2/);
          return true;
        },
      );
    });
  }
});
