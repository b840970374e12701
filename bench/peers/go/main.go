// The peer in Go: net/http, encoding/json, santhosh-tekuri/jsonschema, franz-go.
//
// `peer PORT BROKERS SCHEMAS`. What every peer does stands in the README of the folder above.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

const maxBody = 4 << 20

type app struct {
	schemas map[string]*jsonschema.Schema
	client  *kgo.Client
}

func invalid(event any, message string) map[string]any {
	return map[string]any{"status": "invalid", "event": event, "context": map[string]any{"message": message}}
}

// take fills in, judges and sends one event, or says what is wrong with it.
func (a *app) take(event any, promise func(*kgo.Record, error)) map[string]any {
	object, _ := event.(map[string]any)
	meta, _ := object["meta"].(map[string]any)
	if meta == nil {
		return invalid(event, "no meta")
	}
	now := time.Now().UTC()
	if _, has := meta["dt"]; !has {
		meta["dt"] = now.Format("2006-01-02T15:04:05.000Z")
	}
	if _, has := meta["id"]; !has {
		id, err := uuid.NewV7()
		if err != nil {
			return invalid(event, err.Error())
		}
		meta["id"] = id.String()
	}
	uri, _ := object["$schema"].(string)
	schema := a.schemas[uri]
	if schema == nil {
		return invalid(event, "unknown schema")
	}
	if err := schema.Validate(event); err != nil {
		return invalid(event, err.Error())
	}
	stream, _ := meta["stream"].(string)
	value, err := json.Marshal(event)
	if err != nil || stream == "" {
		return invalid(event, "no stream")
	}
	a.client.Produce(context.Background(), &kgo.Record{Topic: stream, Value: value, Timestamp: now}, promise)
	return nil
}

func (a *app) receive(w http.ResponseWriter, r *http.Request, isHasty bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	// As the validator's documentation has it: numbers keep their text.
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	events, isArray := parsed.([]any)
	if !isArray {
		events = []any{parsed}
	}
	if isHasty {
		for _, event := range events {
			a.take(event, nil)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	var (
		waiting  sync.WaitGroup
		lock     sync.Mutex
		failures []any
	)
	fail := func(failure any) {
		lock.Lock()
		failures = append(failures, failure)
		lock.Unlock()
	}
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			fail(map[string]any{"status": "error", "context": map[string]any{"message": "not delivered"}})
		}
		waiting.Done()
	}
	for _, event := range events {
		waiting.Add(1)
		if failure := a.take(event, promise); failure != nil {
			fail(failure)
			waiting.Done()
		}
	}
	waiting.Wait()
	switch len(failures) {
	case 0:
		w.WriteHeader(http.StatusCreated)
		return
	case len(events):
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusMultiStatus)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"failures": failures})
}

func compiled(path string) map[string]*jsonschema.Schema {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		log.Fatal(err)
	}
	schemas := map[string]*jsonschema.Schema{}
	for uri, one := range raw {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(one))
		if err != nil {
			log.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		compiler.DefaultDraft(jsonschema.Draft7)
		compiler.AssertFormat()
		if err := compiler.AddResource("schema:"+uri, document); err != nil {
			log.Fatal(err)
		}
		schemas[uri] = compiler.MustCompile("schema:" + uri)
	}
	return schemas
}

func main() {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Args[2], ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()), // Idempotent unless that is switched off.
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.AllowAutoTopicCreation(),
		kgo.MaxBufferedRecords(100_000),
		// librdkafka answers a newer ApiVersions request, as a mock cluster, with less than franz-go reads.
		kgo.MaxVersions(kversion.V2_3_0()),
	)
	if err != nil {
		log.Fatal(err)
	}
	a := &app{schemas: compiled(os.Args[3]), client: client}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("POST /v1/events", func(w http.ResponseWriter, r *http.Request) {
		a.receive(w, r, r.URL.Query().Get("hasty") == "true")
	})
	mux.HandleFunc("POST /v1/beacon", func(w http.ResponseWriter, r *http.Request) { a.receive(w, r, true) })
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], mux))
}
