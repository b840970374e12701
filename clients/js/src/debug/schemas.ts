/** Validation in the page, by the schemas that the intake serves: the verdicts are the intake's. */
import { format, Validator, type Schema } from "@cfworker/json-schema";
import type { Event } from "../core/types.js";

export interface Verdict {
  isValid: boolean;
  /** One line for each thing that is wrong: where, and what. */
  errors: string[];
}

/** Write the defaults of a schema's properties into an object that lacks them, as the intake does before it validates. */
const fill = (schema: any, value: any): void => {
  if (value === null || typeof value != "object" || Array.isArray(value)) return;
  for (const [name, property] of Object.entries<any>(schema?.properties || {})) {
    if (!(name in value) && property?.default !== undefined) value[name] = structuredClone(property.default);
    if (name in value) fill(property, value[name]);
  }
};

// The library takes a blank in place of the T.
const isDateTime = format["date-time"]!;
format["date-time"] = (text) => !/\s/.test(text) && isDateTime(text);

/** Judge a value by a schema. The value is not changed. */
export const validate = (schema: object, value: unknown): Verdict => {
  const copy = structuredClone(value);
  fill(schema, copy);
  const { valid, errors } = new Validator(schema as Schema, "7", false).validate(copy);
  // The innermost errors name the cause; those around it only say that something in there is wrong.
  const causes = errors.filter((error) => !/^(properties|items|additionalItems|\$ref)$/.test(error.keyword));
  return { isValid: valid, errors: causes.map((error) => `${error.instanceLocation.slice(1) || "/"}: ${error.error}`) };
};

/** Fetches the schemas of an intake, each once, and judges events by them. */
export const schemasOf = (url: string) => {
  const known = new Map<string, object>();
  const asked = new Map<string, Promise<object | undefined>>();

  const load = async (uri: string): Promise<object | undefined> => {
    const response = await fetch(url + "/v1/schemas" + uri, { credentials: "omit" });
    if (!response.ok) return undefined;
    const schema = (await response.json()) as object;
    known.set(uri, schema);
    return schema;
  };
  /** The intake fills in meta.dt before it validates. */
  const whole = (event: Event): Event => ({ ...event, meta: { dt: new Date().toISOString(), ...event.meta } });

  return {
    /** Return the verdict, or undefined if the intake has no such schema or does not answer. */
    async judge(event: Event): Promise<Verdict | undefined> {
      const uri = event.$schema;
      if (!asked.has(uri)) asked.set(uri, load(uri).catch(() => void asked.delete(uri)));
      const schema = await asked.get(uri);
      return schema && validate(schema, whole(event));
    },
    /** Return the verdict if the schema is there already. */
    judgeNow(event: Event): Verdict | undefined {
      const schema = known.get(event.$schema);
      return schema && validate(schema, whole(event));
    },
  };
};
