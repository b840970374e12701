/** Curation rules of Metrics Platform: which events a stream wants, by attributes of their context. */
import type { Context } from "./types.js";

type Test = (value: any, wanted: any) => boolean;
const has = (list: unknown, item: unknown): boolean => Array.isArray(list) && list.includes(item);
// Text and numbers have an order each, but none together.
const compares = (a: unknown, b: unknown): boolean => typeof a == typeof b;

const TESTS: Record<string, Test> = {
  equals: (value, wanted) => value === wanted,
  not_equals: (value, wanted) => value !== wanted,
  in: (value, wanted) => has(wanted, value),
  not_in: (value, wanted) => !has(wanted, value),
  greater_than: (value, wanted) => compares(value, wanted) && value > wanted,
  less_than: (value, wanted) => compares(value, wanted) && value < wanted,
  greater_than_or_equals: (value, wanted) => compares(value, wanted) && value >= wanted,
  less_than_or_equals: (value, wanted) => compares(value, wanted) && value <= wanted,
  contains: has,
  does_not_contain: (value, wanted) => !has(value, wanted),
  contains_all: (value, wanted: unknown[]) => wanted.every((item) => has(value, item)),
  contains_any: (value, wanted: unknown[]) => wanted.some((item) => has(value, item)),
};

/** Whether all operators of all attributes hold. An attribute without a value fails, and so does an unknown operator. */
export const passes = (rules: Record<string, any> | undefined, context: Context): boolean =>
  Object.keys(rules || {}).every((name) => {
    const value = context[name];
    const operators = rules![name];
    return (
      value != null && operators === Object(operators) &&
      Object.keys(operators).every((operator) => TESTS[operator]?.(value, operators[operator]))
    );
  });
