/**
 * Developer mode: every event is sent, whatever the sample, and the console says at once what is wrong with it.
 *
 * A plugin and not an option, so that pages that do not ask for it do not load it.
 */
import type { Event, Notice, Plugin } from "../core/types.js";
import { wrongOptions, wrongSamples } from "./hints.js";
import { schemasOf, validate, type Verdict } from "./schemas.js";

export { schemasOf, validate, type Verdict };

export interface DebugOptions {
  /** The name of the test session, by which the intake's console finds the events. Default `debug`. */
  test?: string;
  /** Who judges an event before it is sent: the intake (`/v1/validate`), or this page by the intake's schemas. */
  validate?: "intake" | "page" | false;
  /** An event that this page found invalid is not sent. The first events of a schema are sent while it is fetched. */
  drop?: boolean;
  /** Where to write. Default: the browser's console. */
  console?: Pick<Console, "log" | "table" | "warn">;
}

/** Make the plugin: `createIntake({ url, plugins: [debug()] })`. */
export const debug = ({ test = "debug", validate: judge = "intake", drop = false, console: to = console }: DebugOptions = {}): Plugin =>
  (intake, hooks, options) => {
    const url = new URL(options.url).href.replace(/\/+$/, "");
    const schemas = schemasOf(url);
    const link = (event: Event): string => `${url}/v1/schemas${event.$schema}`;
    const blame = (stream: string, event: Event, errors: string[]): void => {
      to.warn(`penstock: ${stream}: this event is invalid by ${link(event)}`);
      to.table(errors.map((error) => ({ error })));
    };
    const ask = async (event: Event): Promise<Verdict | undefined> => {
      const body = JSON.stringify([event]);
      const response = await fetch(`${url}/v1/validate?${new URLSearchParams(hooks.params)}`, { method: "POST", body, credentials: "omit" });
      const [verdict] = verdictsOf(await response.json());
      return verdict;
    };

    const hint = (lines: string[]): void => lines.forEach((line) => to.warn(`penstock: ${line}`));
    hint(wrongOptions(options));
    if (typeof options.streams == "object") hint(wrongSamples(options.streams));
    intake.on("config", ({ streams }) => hint(wrongSamples(streams)));

    hooks.sampling = false;
    hooks.hasty = false;
    hooks.params.test = test;
    if (drop) {
      hooks.admit = (stream, event) => {
        const verdict = schemas.judgeNow(event);
        // The first event of a schema comes before the schema does.
        if (!verdict) void schemas.judge(event).catch(() => undefined);
        else if (!verdict.isValid) blame(stream, event, verdict.errors);
        return verdict?.isValid !== false;
      };
    }

    intake.on("queued", ({ stream, event }) => {
      to.log(`penstock: ${stream}`, event);
      if (!judge) return;
      (judge == "page" ? schemas.judge(event!) : ask(event!))
        .then((verdict) => {
          if (!verdict) to.warn(`penstock: ${stream}: not validated; is there a schema at ${link(event!)}?`);
          else if (!verdict.isValid) blame(stream, event!, verdict.errors);
        })
        .catch((error: unknown) => to.warn(`penstock: ${stream}: not validated`, error));
    });
    const tell = (what: string) => ({ stream, id, reason, context }: Notice): void => {
      to.warn(`penstock: ${stream}: ${id || "an event"} was ${what}: ${reason}`, context?.errorsText || context?.message || "");
    };
    intake.on("rejected", tell("rejected"));
    intake.on("dropped", tell("dropped"));
    intake.on("sent", ({ stream, id }) => to.log(`penstock: ${stream}: ${id} was accepted`));
    intake.on("retry", (retry) => to.warn(`penstock: ${retry.reason}; again in ${Math.round(retry.delayMs)} ms`, retry));
    intake.on("warning", ({ message }) => to.warn(`penstock: ${message}`));
  };

/** Read an answer of /v1/validate. */
const verdictsOf = (answer: any): Verdict[] =>
  (answer?.events || []).map((one: any) => {
    const { context } = one;
    const errors = (context?.errors || []).map((error: any) => `${error.dataPath || "/"}: ${error.message}`);
    if (!errors.length && context) errors.push(context.errorsText || context.message || context.error_type);
    return { isValid: /^(valid|observed)$/.test(one.status), errors };
  });
