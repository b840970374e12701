/** What a stream's settings make of an event: whether it is sent, where to, and with what added. */
import { passes } from "./curation.js";
import { quietly } from "./quietly.js";
import { inSample } from "./sampling.js";
import type { Context, DropReason, Event, Ids, StreamSettings, StreamTable } from "./types.js";

/** Find a stream's settings: by its exact name, else by the first regular expression that matches. */
export const settingsOf = (streams: StreamTable, stream: string): StreamSettings | undefined => {
  const isPattern = (name: string): boolean => /^\/.*\/$/.test(name);
  if (Object.hasOwn(streams, stream) && !isPattern(stream)) return Object(streams[stream]);
  for (const name in streams) {
    // The server's dialect knows forms that ours does not: such a stream is not known here.
    if (isPattern(name) && quietly(() => new RegExp(name.slice(1, -1)).test(stream))) return Object(streams[name]);
  }
  return undefined;
};

export interface Judged {
  reason?: DropReason;
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
  sampling = true,
): Judged => {
  const settings = streams ? settingsOf(streams, stream) : {};
  const result: Judged = { url, added: {} };
  if (!settings) result.reason = "unknown_stream";
  else if (!event.$schema) result.reason = "no_schema";
  else {
    const { sample, destination_event_service, producers } = settings;
    const platform = producers?.metrics_platform_client || {};
    result.url = (destination_event_service && services[destination_event_service]) || url;
    if (sampling && event.meta?.domain != "canary") {
      if (!inSample(sample, ids())) result.reason = "sampled";
      else if (platform.curation != undefined && !passes(platform.curation, context())) result.reason = "curated";
      else if (sample && !("sample" in event)) result.added.sample = { unit: sample.unit, rate: sample.rate };
    }
    for (const name of Array.isArray(platform.provide_values) ? platform.provide_values : []) {
      const [, group, field] = /^([^_]+)_(.+)$/.exec(name) || [];
      const value = field && context()[name];
      if (value == null) continue;
      const object = (result.added[group!] ?? event[group!] ?? {}) as Record<string, unknown>;
      if (typeof object == "object" && !(field! in object)) result.added[group!] = { ...object, [field!]: value };
    }
  }
  return result;
};
