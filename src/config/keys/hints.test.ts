import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hintKeys } from './hints.ts';

const { type } = hintKeys['extract.hints'];

describe('extract.hints', () => {
  it('reads entries between commas and lines', () => {
    assert.deepEqual(
      type.parse('git-clone:url=CHAINS-GIT_URL, git-clone : commit = CHAINS-GIT_COMMIT,\n\n jib-*:params.IMAGE=app_IMAGE_URL\n'),
      {
        kind: 'value',
        value: [
          { task: 'git-clone', from: 'result', name: 'url', hint: 'CHAINS-GIT_URL' },
          { task: 'git-clone', from: 'result', name: 'commit', hint: 'CHAINS-GIT_COMMIT' },
          { task: 'jib-*', from: 'param', name: 'IMAGE', hint: 'app_IMAGE_URL' },
        ],
      },
    );
  });

  it('is empty for the empty text', () => {
    assert.deepEqual(type.parse(''), { kind: 'value', value: [] });
  });

  const refused: readonly { readonly name: string; readonly text: string; readonly reason: RegExp }[] = [
    { name: 'an entry without a result', text: 'git-clone=IMAGES', reason: /^"git-clone=IMAGES": want task:result=HINT$/ },
    { name: 'an entry without a hint', text: 'a:b', reason: /want task:result=HINT/ },
    { name: 'an empty part', text: 'a:=IMAGES', reason: /want task:result=HINT/ },
    { name: 'more than one =', text: 'a:b=c=IMAGES', reason: /want task:result=HINT/ },
    { name: "what can be no task's name", text: 'Git Clone:url=CHAINS-GIT_URL', reason: /"Git Clone" can be no task's name/ },
    { name: 'what can be no name of a result', text: 'a:b c=IMAGES', reason: /"b c" can be no name of a result/ },
    { name: 'what can be no name of a param', text: 'a:params.=IMAGES', reason: /"params." can be no name of a param/ },
    { name: 'a hint that nothing reads', text: 'a:b=image_url', reason: /"image_url" is no hint: want one that ends in IMAGE_URL/ },
    { name: 'one hint of one task twice', text: 'a:b=IMAGES,a:c=IMAGES', reason: /IMAGES of "a" is there already/ },
    {
      name: 'more than 1000 entries',
      text: Array.from({ length: 1001 }, (_, index) => `a${index}:b=IMAGES`).join(),
      reason: /more than 1000 entries/,
    },
  ];
  for (const { name, text, reason } of refused) {
    it(`refuses ${name}`, () => {
      const parsed = type.parse(text);

      assert.equal(parsed.kind, 'wrong');
      assert.match(parsed.kind === 'wrong' ? parsed.reason : '', reason);
    });
  }
});
