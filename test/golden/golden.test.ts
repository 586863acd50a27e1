import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deviations } from './deviations.ts';
import { differenceOf } from './golden.ts';
import { files, outcomeOf, readRows } from './rows.ts';

for (const file of files) {
  describe(file, () => {
    for (const row of readRows(file)) {
      it(`${row.id}: ${row.kind} ${row.format}`, () => {
        assert.equal(differenceOf(row), undefined);
      });
    }
  });
}

describe('deviations', () => {
  const rows = new Map(files.flatMap(readRows).map((row) => [row.id, row]));
  for (const [id, { quirk }] of Object.entries(deviations)) {
    it(`${id} (${quirk}) really differs from Tekton Chains`, () => {
      const row = rows.get(id);
      assert.ok(row, 'the row exists');
      const outcome = outcomeOf(row);

      assert.notEqual(outcome.kind, 'error');
      if (outcome.kind === 'payload') assert.notEqual(outcome.text, row.expected);
      if (outcome.kind === 'images') assert.notDeepEqual(outcome.images, row.expectedImages);
    });
  }
});
