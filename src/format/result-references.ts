import { valueOf } from '../extract/value.ts';
import { at, isObject, objectsAt, textAt, type Json, type JsonObject } from '../model/json.ts';
import { compareUtf8 } from '../model/json-text.ts';
import { textsOf } from './texts.ts';

const variable = /\$\(([_a-zA-Z0-9.-]+(?:\[(?:[0-9]+|\*)\])?)\)/g;

/** The names of tasks whose results a pipeline task uses, in the order of chains-provenance 7.4, repeated as often as used. */
export function resultReferences(task: JsonObject): readonly string[] {
  return textsWithVariables(task).flatMap((text) => (text.includes('$(') ? tasksIn(text) : []));
}

function tasksIn(text: string): readonly string[] {
  return [...text.matchAll(variable)].flatMap(([, expression = '']) => {
    const pieces = expression.split('.');
    const [scope = '', task = '', member] = pieces;
    const isReference = (pieces.length === 4 || pieces.length === 5) && (scope === 'tasks' || scope === 'finally') && member === 'results';
    return isReference ? [task] : [];
  });
}

function textsWithVariables(task: JsonObject): readonly string[] {
  const matrix = at(task, 'matrix');
  const when = objectsAt(task, 'when');
  const spec = at(task, 'taskSpec');
  return [
    ...paramTexts(task),
    ...paramTexts(matrix),
    ...objectsAt(matrix, 'include').flatMap(paramTexts),
    ...when.flatMap((expression) => [textAt(expression, 'input'), textAt(expression, 'cel'), ...textsOf(at(expression, 'values'))]),
    ...(isObject(spec) ? [...objectsAt(spec, 'steps'), ...objectsAt(spec, 'sidecars')].flatMap(containerTexts) : []),
  ];
}

function paramTexts(holder: Json | undefined): readonly string[] {
  return objectsAt(holder, 'params').flatMap((param) => {
    const value = valueOf(param);
    if (value.kind === 'string') return [value.text];
    if (value.kind === 'array') return value.items;
    // Sorted by member name, so that the order does not depend on the input's.
    const members = value.kind === 'object' ? Object.entries(value.members) : [];
    return members.toSorted(([a], [b]) => compareUtf8(a, b)).map(([, text]) => text);
  });
}

const containerMembers = ['name', 'image', 'imagePullPolicy', 'script', 'workingDir'] as const;

function containerTexts(container: JsonObject): readonly string[] {
  return [
    ...containerMembers.map((member) => textAt(container, member)),
    ...textsOf(at(container, 'command')),
    ...textsOf(at(container, 'args')),
    ...objectsAt(container, 'env').flatMap((variable_) => [
      textAt(variable_, 'value'),
      ...['secretKeyRef', 'configMapKeyRef'].flatMap((source) => [
        textAt(variable_, 'valueFrom', source, 'key'),
        textAt(variable_, 'valueFrom', source, 'name'),
      ]),
    ]),
  ];
}
