import { ExactNumber, jsonText, parseAsWritten } from '../exact-json.ts';
import { STRING } from '../sql-type.ts';
import { callError, type FunctionDefinition, scalarFunction, signature } from './definition.ts';

const extract = signature(
  ['STRING', 'STRING'],
  STRING,
  (text, path) => {
    const steps = stepsOf(path);
    return steps === null ? undefined : extractText(text, steps);
  },
  'json',
);

/** `$.a.b[0]`, `$['a']`; the value found is text, objects and arrays as JSON. */
export const JSON_FUNCTIONS: readonly FunctionDefinition[] = [
  scalarFunction('EXTRACTJSONFIELD', "EXTRACTJSONFIELD(text, '$.path')", [
    {
      count: 2,
      bind: (call) => {
        const path = call.args[1]?.literal;
        if (typeof path === 'string' && stepsOf(path) === null)
          throw callError(call, "this is no path; write one such as '$.a.b[0]'", 1);
        return extract.bind(call);
      },
    },
  ]),
];

type Step = string | number;

let lastPath = '';
let lastSteps: readonly Step[] | null = null;

function stepsOf(path: string): readonly Step[] | null {
  if (path === lastPath && lastSteps !== null) return lastSteps;
  if (!path.startsWith('$')) return null;
  const steps: Step[] = [];
  const step = /\.([^.[\]]+)|\[(\d{1,9})\]|\['([^']*)'\]|\["([^"]*)"\]/y;
  step.lastIndex = 1;
  while (step.lastIndex < path.length) {
    const match = step.exec(path);
    if (match === null) return null;
    const [, name, index, single, double] = match;
    steps.push(index !== undefined ? Number(index) : (name ?? single ?? double ?? ''));
  }
  lastPath = path;
  lastSteps = steps;
  return steps;
}

type Json = null | boolean | string | ExactNumber | Json[] | { [name: string]: Json };

function extractText(text: string, steps: readonly Step[]): string | null | undefined {
  let value: Json | undefined;
  try {
    value = parseAsWritten(text) as Json;
  } catch {
    return undefined;
  }
  for (const step of steps) {
    if (value === null || typeof value !== 'object' || value instanceof ExactNumber) return null;
    if (Array.isArray(value)) value = typeof step === 'number' ? value[step] : undefined;
    else value = Object.hasOwn(value, String(step)) ? value[String(step)] : undefined;
    if (value === undefined) return null;
  }
  if (value === null) return null;
  return typeof value === 'string' ? value : jsonText(value);
}
