/** The core of the client: everything that sends. Importing it does nothing. */
export { createIntake } from "./intake.js";
export type {
  Context, DropReason, Event, EventOf, FlushResult, Hooks, Ids, Intake, Item, Notices, Options, Plugin, Result, Store,
  StoreHost, StreamName, StreamSettings, StreamTable, Streams, Unit,
} from "./types.js";
