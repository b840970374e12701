/** What a stream's settings make of an event: whether it is sent, where to, and with what added. */
import { passes } from "./curation.js";
import { isObject, listOf, own, quietly } from "./values.js";
import { inSample } from "./sampling.js";
import type { Context, DropReason, Event, Ids, StreamSettings, StreamTable } from "./types.js";

/** Find a stream's settings: by its exact name, else by the first regular expression that matches. */
export const settingsOf = (streams: StreamTable, stream: string): StreamSettings | undefined => {
  const isPattern = (name: string): boolean => /^\/.+\/$/.test(name);
  if (Object.hasOwn(streams, stream) && !isPattern(stream)) return Object(streams[stream]);
  for (const name in streams) {
    // The server's dialect knows forms that ours does not: such a stream is not known here.
    if (isPattern(name) && quietly(() => new RegExp(name.slice(1, -1)).test(stream))) return Object(streams[name]);
  }
  return undefined;
};

export interface Judged {
  reason: DropReason | undefined;
  /** The reason is a mistake in the settings, or the lack of them. */
  warning: string | false | undefined;
  url: string;
  /** Members to add to the event. */
  added: Record<string, unknown>;
}

/** Judge an event by the settings, before it is built. `streams` false: everything is sent as it is. */
export const judge = (
  streams: StreamTable | false,
  stream: string,
  event: Event,
  ids: () => Ids,
  context: () => Context,
  url: string,
  services: Record<string, string>,
  sampling: boolean,
): Judged => {
  const settings = streams ? settingsOf(streams, stream) : {};
  const added: Judged["added"] = {};
  let reason: DropReason | undefined;
  let warning: Judged["warning"];
  if (!settings) warning = reason = "unknown_stream";
  else if (!event.$schema) warning = reason = "no_schema";
  else {
    const { sample, destination_event_service, producers } = settings;
    url = own(services, destination_event_service!) || url;
    if (event.meta?.domain != "canary") {
      const platform = producers?.metrics_platform_client;
      const { curation, provide_values: names } = platform || {};
      const attributes = platform ? context() : {};
      const isIn = inSample(sample, ids());
      if (sampling && !isIn) {
        reason = "sampled";
        warning = isIn == undefined && "invalid sample";
      } else if (sampling && curation != undefined && !passes(curation, attributes)) reason = "curated";
      else if (isObject(sample) && !("sample" in event)) added.sample = { unit: sample!.unit, rate: sample!.rate };
      for (const name of listOf(names)) {
        const [, group, field] = /^([^_]+)_(.+)$/.exec(name) || [];
        const value = own(attributes, name);
        if (!field || value == null) continue;
        const object = own({ ...event, ...added }, group!) ?? {};
        if (isObject(object) && !Object.hasOwn(object, field)) added[group!] = { ...object, [field]: value };
      }
    }
  }
  return { reason, url, added, warning };
};
