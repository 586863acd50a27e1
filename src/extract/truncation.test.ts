import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../model/json.ts';
import { Drops } from './drops.ts';
import { factsOf } from './facts.ts';
import { truncations } from './truncation.ts';

const image = `registry.example/team/application@sha256:${'1'.repeat(64)}`;
const images = Array.from({ length: 12 }, () => image).join(',');
const message = JSON.stringify([{ key: 'IMAGES', value: images, type: 1 }]);

describe('truncations', () => {
  const cases: readonly (readonly [string, JsonObject, readonly string[]])[] = [
    ['a whole list', { results: [{ name: 'IMAGES', value: `${images}\n` }] }, []],
    ['a list that ends in a digest', { results: [{ name: 'IMAGES', value: images.slice(0, -5) }] }, ['status.results[IMAGES]']],
    ['a short list, which is a slip of the pen', { results: [{ name: 'IMAGES', value: image.slice(0, -5) }] }, []],
    ['another result', { results: [{ name: 'log', value: images.slice(0, -5) }] }, []],
    [
      'an object that ends in the middle, in a step',
      { steps: [{ name: 's', results: [{ name: 'x_ARTIFACT_OUTPUTS', value: `{"uri":"${'x'.repeat(1100)}` }] }] },
      ['status.steps[s].results[x_ARTIFACT_OUTPUTS]'],
    ],
    [
      'a message that the kubelet cut',
      { steps: [{ name: 's', terminated: { message: message.slice(0, 700) } }] },
      ['status.steps[s].terminated.message'],
    ],
    [
      'a compressed message that could not be read',
      { steps: [{ name: 's', terminated: { message: 'tknz:abc' } }] },
      ['status.steps[s].terminated.message'],
    ],
    ['a whole message', { steps: [{ name: 's', terminated: { message } }] }, []],
    ['some other message', { steps: [{ name: 's', terminated: { message: '[{ no JSON' } }] }, []],
    [
      'the reason that Tekton gives',
      { conditions: [{ reason: 'TaskRunResultLargerThanAllowedLimit', message: '' }] },
      ['status.conditions'],
    ],
    [
      'the words of its entrypoint',
      { conditions: [{ reason: 'Failed', message: 'Termination message is above max allowed size 4096, caused by large task result.' }] },
      ['status.conditions'],
    ],
    ['any other failure', { conditions: [{ reason: 'Failed', message: '"step-x" exited with code 1' }] }, []],
  ];
  for (const [name, status, places] of cases) {
    it(`${places.length === 0 ? 'passes over' : 'tells'} ${name}`, () => {
      const drops = new Drops();
      truncations(factsOf({ status }), drops);

      assert.deepEqual(
        drops.all.map(({ rule, result }) => [rule, result]),
        places.map((place) => ['extract.truncated', place]),
      );
    });
  }
});
