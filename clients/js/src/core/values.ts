/** Return the result of `action`, or undefined if it throws: for storage that is forbidden or full, and texts of others. */
export const quietly = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {
    return undefined;
  }
};

/** Whether a value is an object of JSON: no list. */
export const isObject = (value: unknown): boolean => value === Object(value) && !Array.isArray(value);

/** Return a list, or an empty one in place of anything else. */
export const listOf = (value: any): any[] => (Array.isArray(value) ? value : []);

/** Return a member that the object itself has: in `{}` there is no `toString`. */
export const own = (object: any, name: string): any => (Object.hasOwn(object, name) ? object[name] : undefined);

/** Parse JSON; undefined if it is none. */
export const parse = (text: string): any => quietly(() => JSON.parse(text));
