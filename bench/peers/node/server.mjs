// The peer in Node: Fastify, ajv with ajv-formats, kafkajs.
//
// `server.mjs PORT BROKERS SCHEMAS`. What every peer does stands in the README of the folder above.
// kafkajs sends each call at once and has no linger: users who care gather messages and call sendBatch, as here.
import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import Fastify from "fastify";
import { CompressionTypes, Kafka, logLevel } from "kafkajs";
import { v7 } from "uuid";

const LINGER_MS = 5;
const [port, brokers, schemas] = process.argv.slice(2);

const ajv = new Ajv({ strict: false });
addFormats(ajv);
const validators = new Map();
for (const [uri, schema] of Object.entries(JSON.parse(readFileSync(schemas, "utf8")))) {
  validators.set(uri, ajv.compile(schema));
}

const kafka = new Kafka({ clientId: "peer", brokers: brokers.split(","), logLevel: logLevel.ERROR });
// Not idempotent: kafkajs calls that experimental, and it asks for a controller, which a mock cluster has none of.
const producer = kafka.producer({ allowAutoTopicCreation: true });
await producer.connect();

// What waits for the next batch: topic -> messages, and one promise for all of it.
let gathered = null;

function send(topic, message) {
  if (gathered === null) {
    const batch = { topics: new Map() };
    batch.sent = new Promise((resolve, reject) => {
      setTimeout(() => {
        gathered = null;
        const topicMessages = [...batch.topics].map(([name, messages]) => ({ topic: name, messages }));
        producer.sendBatch({ topicMessages, acks: -1, compression: CompressionTypes.None }).then(resolve, reject);
      }, LINGER_MS);
    });
    batch.sent.catch(() => {}); // Nobody waits for hasty ones.
    gathered = batch;
  }
  const messages = gathered.topics.get(topic);
  if (messages === undefined) gathered.topics.set(topic, [message]);
  else messages.push(message);
  return gathered.sent;
}

function invalid(event, message) {
  return { status: "invalid", event, context: { message } };
}

// Fill in, judge and send one event. Throws what is wrong with it.
function take(event) {
  const now = new Date();
  const meta = event?.meta;
  if (typeof meta !== "object" || meta === null) throw invalid(event, "no meta");
  meta.dt ??= now.toISOString();
  meta.id ??= v7();
  const validate = validators.get(event.$schema);
  if (validate === undefined) throw invalid(event, "unknown schema");
  if (!validate(event)) throw invalid(event, ajv.errorsText(validate.errors));
  return send(meta.stream, { value: JSON.stringify(event), timestamp: String(now.getTime()) });
}

async function receive(request, reply, isHasty) {
  const body = typeof request.body === "string" ? JSON.parse(request.body) : request.body;
  const events = Array.isArray(body) ? body : [body];
  const failures = [];
  const deliveries = [];
  for (const event of events) {
    try {
      deliveries.push(take(event));
    } catch (failure) {
      failures.push(failure);
    }
  }
  if (isHasty) return reply.code(202).send();
  const outcomes = await Promise.allSettled(deliveries);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") failures.push({ status: "error", context: { message: "not delivered" } });
  }
  if (failures.length === 0) return reply.code(201).send();
  return reply.code(failures.length < events.length ? 207 : 400).send({ failures });
}

const app = Fastify({ bodyLimit: 4 << 20 });
app.get("/readyz", async () => "");
app.post("/v1/events", (request, reply) => receive(request, reply, request.query.hasty === "true"));
app.post("/v1/beacon", (request, reply) => receive(request, reply, true));
await app.listen({ host: "127.0.0.1", port: Number(port), backlog: 1024 });
