/** Curation rules of Metrics Platform: which events a stream wants, by attributes of their context. */
import { own } from "./values.js";
import type { Context } from "./types.js";

type Test = (value: any, wanted: any) => unknown;
/** Undefined: it is no list. */
const has = (list: unknown, item: unknown): boolean | undefined => (Array.isArray(list) ? list.includes(item) : undefined);
/** Text and numbers have an order each, nothing else has one: then it is NaN, and all comparisons with it fail. */
const order = (a: any, b: any): number =>
  typeof a == typeof b && /string|number/.test(typeof a) ? +(a > b) - +(a < b) : NaN;

const TESTS: Record<string, Test> = {
  equals: (value, wanted) => value === wanted,
  not_equals: (value, wanted) => value !== wanted,
  in: (value, wanted) => has(wanted, value),
  not_in: (value, wanted) => has(wanted, value) === false,
  greater_than: (value, wanted) => order(value, wanted) > 0,
  less_than: (value, wanted) => order(value, wanted) < 0,
  greater_than_or_equals: (value, wanted) => order(value, wanted) >= 0,
  less_than_or_equals: (value, wanted) => order(value, wanted) <= 0,
  contains: has,
  does_not_contain: (value, wanted) => has(value, wanted) === false,
  contains_all: (value, wanted) => wanted?.every?.((item: unknown) => has(value, item)),
  contains_any: (value, wanted) => wanted?.some?.((item: unknown) => has(value, item)),
};

/** Whether it is an object, or a list as PHP writes an empty map, and all its names pass. */
const all = (rules: any, test: (name: string) => unknown): boolean => rules === Object(rules) && Object.keys(rules).every(test);

/** Whether all operators of all attributes hold. An attribute without a value fails, and so does an unknown operator. */
export const passes = (rules: any, context: Context): boolean =>
  all(rules, (name) => {
    const value = own(context, name);
    return value != null && all(rules[name], (operator) => own(TESTS, operator)?.(value, rules[name][operator]));
  });
