import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Breakers } from './breakers.ts';
import { TransientError } from './errors.ts';

const down = async (): Promise<never> =>
  await Promise.reject(new TransientError('http.unreachable', 'refused', { dependency: 'oci:r', fix: 'start it' }));
const well = async (): Promise<string> => await Promise.resolve('well');

describe('Breakers', () => {
  it('refuses calls after a failure, lets one probe through, and closes on its success', async () => {
    let now = 0;
    const breakers = new Breakers(() => now);

    await assert.rejects(breakers.guard('oci:r', down), { code: 'http.unreachable' });
    await assert.rejects(breakers.guard('oci:r', well), {
      code: 'breaker.open',
      retryAfterMs: 1_000,
      message: 'Waiting for oci:r, in trouble since 1970-01-01T00:00:00.000Z: refused',
      fix: 'start it',
    });
    now = 1_000;
    const probe = Promise.withResolvers<string>();
    const probing = breakers.guard('oci:r', async () => await probe.promise);
    await assert.rejects(breakers.guard('oci:r', well), { code: 'breaker.open' });
    probe.resolve('well');

    assert.equal(await probing, 'well');
    assert.equal(await breakers.guard('oci:r', well), 'well');
    assert.deepEqual(breakers.names, []);
  });

  it('doubles the wait with each failed probe, up to a minute', async () => {
    let now = 0;
    const breakers = new Breakers(() => now);
    const waits: number[] = [];

    for (let probe = 0; probe < 8; probe += 1) {
      await assert.rejects(breakers.guard('oci:r', down), { code: 'http.unreachable' });
      waits.push(breakers.waitMs('oci:r'));
      now += breakers.waitMs('oci:r');
    }

    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  });

  it('goes on doubling when what succeeds in between proves nothing', async () => {
    let now = 0;
    const breakers = new Breakers(() => now);
    const waits: number[] = [];

    for (let probe = 0; probe < 3; probe += 1) {
      assert.equal(await breakers.guard('oci:r', well, 'nothing'), 'well');
      await assert.rejects(breakers.guard('oci:r', down), { code: 'http.unreachable' });
      waits.push(breakers.waitMs('oci:r'));
      now += breakers.waitMs('oci:r');
    }

    assert.deepEqual(waits, [1_000, 2_000, 4_000]);
  });

  it('leaves other dependencies alone', async () => {
    const breakers = new Breakers(() => 0);

    await assert.rejects(breakers.guard('oci:r', down));

    assert.equal(await breakers.guard('oci:other', well), 'well');
  });

  it('does not open for an error that blames nobody', async () => {
    const breakers = new Breakers(() => 0);

    await assert.rejects(breakers.guard('oci:r', async () => await Promise.reject(new Error('bad input'))));

    assert.deepEqual(breakers.names, []);
  });
});
