import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isPrivateLiteral, mayUseHttp } from './reach.ts';

const hosts = [
  { host: 'localhost', http: true, inside: false },
  { host: 'localhost:5000', http: true, inside: false },
  { host: 'registry.localhost:5000', http: true, inside: false },
  { host: '127.0.0.1', http: true, inside: true },
  { host: '127.9.9.9:5000', http: true, inside: true },
  { host: '[::1]:5000', http: true, inside: true },
  { host: '10.1.2.3', http: true, inside: true },
  { host: '172.31.0.1:80', http: true, inside: true },
  { host: '192.168.0.9', http: true, inside: true },
  { host: '169.254.169.254', http: false, inside: true },
  { host: '[fe80::1]', http: false, inside: true },
  { host: '[fd00::1]:443', http: false, inside: true },
  { host: '172.32.0.1', http: false, inside: false },
  { host: '11.0.0.1', http: false, inside: false },
  { host: '[2001:db8::1]:5000', http: false, inside: false },
  { host: 'registry.example', http: false, inside: false },
  { host: 'localhost.example', http: false, inside: false },
  { host: '127.0.0.1.example', http: false, inside: false },
];

describe('mayUseHttp', () => {
  for (const { host, http } of hosts) it(`says ${http} of ${host}`, () => assert.equal(mayUseHttp(host), http));
});

describe('isPrivateLiteral', () => {
  for (const { host, inside } of hosts) it(`says ${inside} of ${host}`, () => assert.equal(isPrivateLiteral(host), inside));
});
