/** Return the result of `action`, or undefined if it throws: for storage that is forbidden or full, and texts of others. */
export const quietly = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {
    return undefined;
  }
};

/** Parse JSON; undefined if it is none. */
export const parse = (text: string): any => quietly(() => JSON.parse(text));
