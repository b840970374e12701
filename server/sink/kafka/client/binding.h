/* What the parts of the binding share: the objects, and librdkafka's functions.
 *
 * Place: binding.c (the module), producer.c, outcomes.c and topic.c → HERE. The contract is in sink.kafka.client.contract;
 * plain.py keeps it too.
 * Why: confluent_kafka looks for a topic by its name among all topics for each record, copies the value, and makes an
 * object with copies of topic, key and value for each outcome (docs/decisions/0012-binding.md).
 * Rules: all functions hold the GIL, except while they wait for a broker or for librdkafka's threads, which never need
 * it: every callback comes from rd_kafka_poll. A value is not copied: the record that is out holds it. Every record that
 * librdkafka took is in the list of its producer until its outcome, so nothing stays behind if the producer ends first.
 * Not here: when to poll, what an outcome leads to (sink.kafka.producer).
 */

#ifndef PENSTOCK_BINDING_H
#define PENSTOCK_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "librdkafka.h"

#define REASON_BYTES 512 /* Of librdkafka's texts. */

#define MEMBER(result, name, arguments) result(*name) arguments;
typedef struct {
    LIBRDKAFKA(MEMBER)
} Librdkafka;

/* What an outcome says besides its error. There is one for each producer, which holds for the time of the call. */
typedef struct {
    PyObject_HEAD
    int32_t partition;
    int64_t offset;
} Outcome;

/* A record that is out. ``place`` points to what points to this one. */
typedef struct Out {
    struct Out *next, **place;
    PyObject *on_ack, *value;
} Out;

typedef struct {
    PyObject_HEAD
    rd_kafka_t *handle;
    PyObject *on_error, *on_statistics, *on_throttle, *on_line;
    Outcome *outcome;
    Out *out;                                           /* All records whose outcome is not known. */
    PyObject *raised_type, *raised_value, *raised_place; /* By the callback that ended the poll. */
} Producer;

extern Librdkafka kafka;
extern PyObject *KafkaError, *KafkaException;
extern PyTypeObject OutcomeType, ProducerType, TopicType;

/* binding.c */
PyObject *error_of(int code, const char *reason, int is_fatal);
void raise_error(int code, const char *reason);

/* outcomes.c */
Out *add_out(Producer *, PyObject *on_ack, PyObject *value); /* NULL without an exception: there is no memory. */
void remove_out(Out *);
void set_callbacks(rd_kafka_conf_t *, Producer *);

/* topic.c */
rd_kafka_topic_t *open_topic(Producer *, PyObject *name); /* NULL with an exception. */
PyObject *Producer_topic(Producer *, PyObject *name);

#endif
