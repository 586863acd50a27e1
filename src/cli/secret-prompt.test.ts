import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { secretPrompt } from './secret-prompt.ts';

/** Streams that say they are a terminal; what is typed is written to `input`. */
function terminal(isTTY = true): { readonly input: PassThrough & { isTTY: boolean }; readonly output: PassThrough & { isTTY: boolean } } {
  return { input: Object.assign(new PassThrough(), { isTTY }), output: Object.assign(new PassThrough(), { isTTY }) };
}
const never = new AbortController().signal;

describe('secretPrompt', () => {
  it('gives what is typed and shows only the question', async () => {
    const { input, output } = terminal();
    const ask = secretPrompt(input, output) ?? assert.fail();

    const answer = ask('Password: ', never);
    input.write('hunterr\u007f2\r');

    assert.equal(await answer, 'hunter2');
    assert.equal(String(output.read()), 'Password: \n');
  });

  it('stops at an interrupt, and when it is told to', async () => {
    const { input, output } = terminal();
    const ask = secretPrompt(input, output) ?? assert.fail();

    const interrupted = ask('Password: ', never);
    input.write('hun\u0003');

    await assert.rejects(interrupted, { name: 'AbortError' });
    await assert.rejects(ask('Password: ', AbortSignal.abort()), { name: 'AbortError' });
  });

  it('asks nobody where there is no terminal', () => {
    const { input, output } = terminal(false);

    assert.equal(secretPrompt(input, output), undefined);
  });
});
