/** Conditions: three-valued, NULL where it is not known. Static types make the casts in here sound. */
import type { ComparisonOperator } from './ast.ts';
import type { Evaluate } from './frame.ts';
import type { SqlType } from './sql-type.ts';
import { compareValues, equalValues, type SqlValue } from './value.ts';

export function comparison(op: ComparisonOperator, type: SqlType, left: Evaluate, right: Evaluate): Evaluate {
  const holds = comparisonTest(op, type);
  return (frame) => {
    const a = left(frame);
    if (a === null) return null;
    const b = right(frame);
    return b === null ? null : holds(a, b);
  };
}

/** Whether values of the type have an order, so that < and > mean something. */
export function isOrdered(type: SqlType): boolean {
  return type.kind !== 'ARRAY' && type.kind !== 'MAP' && type.kind !== 'STRUCT';
}

function comparisonTest(op: ComparisonOperator, type: SqlType): (a: SqlValue, b: SqlValue) => boolean {
  // What is one primitive in JavaScript too needs no detour.
  const primitive = type.kind !== 'DECIMAL' && type.kind !== 'BYTES' && isOrdered(type);
  switch (op) {
    case '=':
      return primitive ? (a, b) => a === b : (a, b) => equalValues(type, a, b);
    case '<>':
      return primitive ? (a, b) => a !== b : (a, b) => !equalValues(type, a, b);
    case '<':
      return (a, b) => compareValues(type, a, b) < 0;
    case '<=':
      return (a, b) => compareValues(type, a, b) <= 0;
    case '>':
      return (a, b) => compareValues(type, a, b) > 0;
    case '>=':
      return (a, b) => compareValues(type, a, b) >= 0;
  }
}

export function and(left: Evaluate, right: Evaluate): Evaluate {
  return (frame) => {
    const a = left(frame);
    if (a === false) return false;
    const b = right(frame);
    if (b === false) return false;
    return a === null || b === null ? null : true;
  };
}

export function or(left: Evaluate, right: Evaluate): Evaluate {
  return (frame) => {
    const a = left(frame);
    if (a === true) return true;
    const b = right(frame);
    if (b === true) return true;
    return a === null || b === null ? null : false;
  };
}

export function not(operand: Evaluate): Evaluate {
  return (frame) => {
    const value = operand(frame);
    return value === null ? null : value !== true;
  };
}

export function isIn(type: SqlType, operand: Evaluate, items: readonly Evaluate[]): Evaluate {
  return (frame) => {
    const value = operand(frame);
    if (value === null) return null;
    let unknown = false;
    for (const item of items) {
      const other = item(frame);
      if (other === null) unknown = true;
      else if (equalValues(type, value, other)) return true;
    }
    return unknown ? null : false;
  };
}

/** `%` any run, `_` one character. */
export function likeTest(pattern: string, escape: string | null): (text: string) => boolean {
  const steps: (string | { readonly any: 'one' | 'run' })[] = [];
  const characters = Array.from(pattern);
  for (let i = 0; i < characters.length; i++) {
    const c = characters[i] ?? '';
    if (c === escape && i + 1 < characters.length) steps.push(characters[++i] ?? '');
    else if (c === '_') steps.push({ any: 'one' });
    else if (c !== '%') steps.push(c);
    else if (steps.length === 0 || !isRun(steps.at(-1))) steps.push({ any: 'run' });
  }
  return (text) => matches(steps, Array.from(text));
}

function isRun(step: string | { readonly any: 'one' | 'run' } | undefined): boolean {
  return typeof step === 'object' && step.any === 'run';
}

/** Greedy with one point to come back to: the last run. At most length × steps. */
function matches(
  steps: readonly (string | { readonly any: 'one' | 'run' })[],
  text: readonly string[],
): boolean {
  let [step, at] = [0, 0];
  let [runStep, runAt] = [-1, 0];
  while (at < text.length) {
    const current = steps[step];
    if (isRun(current)) {
      [runStep, runAt] = [step++, at];
    } else if (current !== undefined && (typeof current === 'object' || current === text[at])) {
      step++;
      at++;
    } else if (runStep >= 0) {
      step = runStep + 1;
      at = ++runAt;
    } else return false;
  }
  while (isRun(steps[step])) step++;
  return step === steps.length;
}
