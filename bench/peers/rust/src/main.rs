//! The peer in Rust: axum, serde_json, jsonschema, rdkafka's FutureProducer, on tokio's usual runtime.
//!
//! `peer PORT BROKERS SCHEMAS`. What every peer does stands in the README of the folder above.

use std::{collections::HashMap, env, fs, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
    serve::ListenerExt,
};
use chrono::{SecondsFormat, Utc};
use jsonschema::Validator;
use rdkafka::{
    ClientConfig,
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
};
use serde_json::{Value, json};
use uuid::Uuid;

struct App {
    validators: HashMap<String, Validator>,
    producer: FutureProducer,
}

impl App {
    /// Fill in, judge and send one event, or say what is wrong with it.
    fn take(&self, mut event: Value) -> Result<DeliveryFuture, Value> {
        let now = Utc::now();
        if let Some(meta) = event.get_mut("meta").and_then(Value::as_object_mut) {
            meta.entry("dt").or_insert_with(|| now.to_rfc3339_opts(SecondsFormat::Millis, true).into());
            meta.entry("id").or_insert_with(|| Uuid::now_v7().to_string().into());
        }
        let Some(validator) = event["$schema"].as_str().and_then(|uri| self.validators.get(uri)) else {
            return Err(invalid(event, "unknown schema"));
        };
        if !validator.is_valid(&event) {
            let messages: Vec<String> = validator.iter_errors(&event).map(|error| error.to_string()).collect();
            return Err(invalid(event, &messages.join(", ")));
        }
        let Some(stream) = event["meta"]["stream"].as_str() else {
            return Err(invalid(event, "no stream"));
        };
        let value = serde_json::to_vec(&event).expect("it came from JSON");
        let record: FutureRecord<(), [u8]> = FutureRecord::to(stream).payload(value.as_slice()).timestamp(now.timestamp_millis());
        match self.producer.send_result(record) {
            Ok(delivery) => Ok(delivery),
            Err((error, _)) => Err(json!({"status": "error", "context": {"message": error.to_string()}})),
        }
    }
}

fn invalid(event: Value, message: &str) -> Value {
    json!({"status": "invalid", "event": event, "context": {"message": message}})
}

async fn events(State(app): State<Arc<App>>, Query(query): Query<HashMap<String, String>>, body: Bytes) -> Response {
    receive(&app, &body, query.get("hasty").is_some_and(|value| value == "true")).await
}

async fn beacon(State(app): State<Arc<App>>, body: Bytes) -> Response {
    receive(&app, &body, true).await
}

async fn receive(app: &App, body: &[u8], is_hasty: bool) -> Response {
    let events = match serde_json::from_slice(body) {
        Ok(Value::Array(events)) => events,
        Ok(event) => vec![event],
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let count = events.len();
    let mut deliveries = Vec::new();
    let mut failures = Vec::new();
    for event in events {
        match app.take(event) {
            Ok(delivery) if !is_hasty => deliveries.push(delivery),
            Ok(_) => {}
            Err(failure) => failures.push(failure),
        }
    }
    if is_hasty {
        return StatusCode::ACCEPTED.into_response();
    }
    for delivery in deliveries {
        if !matches!(delivery.await, Ok(Ok(_))) {
            failures.push(json!({"status": "error", "context": {"message": "not delivered"}}));
        }
    }
    if failures.is_empty() {
        return StatusCode::CREATED.into_response();
    }
    let status = if failures.len() < count { StatusCode::MULTI_STATUS } else { StatusCode::BAD_REQUEST };
    (status, json!({"failures": failures}).to_string()).into_response()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = env::args().collect();
    let schemas: HashMap<String, Value> =
        serde_json::from_slice(&fs::read(&arguments[3]).expect("SCHEMAS can be read")).expect("SCHEMAS is JSON");
    let validators = schemas
        .iter()
        .map(|(uri, schema)| {
            let options = jsonschema::draft7::options().should_validate_formats(true);
            (uri.clone(), options.build(schema).expect("a good schema"))
        })
        .collect();
    let producer = ClientConfig::new()
        .set("bootstrap.servers", &arguments[2])
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()
        .expect("a producer");
    let router = Router::new()
        .route("/readyz", get(|| async { StatusCode::OK }))
        .route("/v1/events", post(events))
        .route("/v1/beacon", post(beacon))
        .layer(DefaultBodyLimit::max(4 << 20))
        .with_state(Arc::new(App { validators, producer }));
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", arguments[1])).await.expect("a free port");
    axum::serve(listener.tap_io(|stream| drop(stream.set_nodelay(true))), router).await.expect("it serves");
}
