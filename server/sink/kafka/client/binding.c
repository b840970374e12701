/* Produce to Kafka and serve its callbacks, directly on the librdkafka that confluent_kafka brings.
 *
 * Place: sink.kafka.making → HERE → librdkafka. The contract is in sink.kafka.client.contract; plain.py keeps it too.
 * Why: confluent_kafka looks for the topic by its name among all topics, copies the value, and makes an object with
 * copies of topic, key and value for each outcome (docs/decisions/0017-binding.md).
 * Rules: all functions run with the GIL held, except those that wait for a broker or for librdkafka's threads, which
 * never need the GIL: every callback comes from rd_kafka_poll. A value is not copied: the record that is out holds it.
 * Every record that librdkafka took is in the list of its producer until its outcome, so nothing is lost or freed
 * twice if the producer ends before that.
 * Not here: when to poll, what an outcome leads to (sink.kafka.producer).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "librdkafka.h"

#define OLDEST_VERSION 0x02000000
#define REASON_BYTES 512

#define MEMBER(result, name, arguments) result(*name) arguments;
static struct {
    LIBRDKAFKA(MEMBER)
} kafka;

static PyObject *KafkaError, *KafkaException;

/* What an outcome says besides its error. There is one for each producer, which holds for the time of the call. */
typedef struct {
    PyObject_HEAD
    int32_t partition;
    int64_t offset;
} Outcome;

typedef struct Out {
    struct Out *next, **place; /* ``place`` points to what points to this one. */
    PyObject *on_ack, *value;
} Out;

typedef struct {
    PyObject_HEAD
    rd_kafka_t *handle;
    PyObject *on_error, *on_statistics, *on_throttle, *on_line;
    Outcome *outcome;
    Out *out; /* The records whose outcome is not known. */
    PyObject *exception, *exception_type, *exception_place; /* Of the callback that ended the poll. */
} Producer;

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Producer *producer;
    rd_kafka_topic_t *handle;
} Topic;

static PyTypeObject OutcomeType, ProducerType, TopicType;

/* -- Errors -- */

static PyObject *error_of(int code, const char *reason, int is_fatal) {
    if (reason == NULL)
        return PyObject_CallFunction(KafkaError, "i", code);
    return PyObject_CallFunction(KafkaError, "isi", code, reason, is_fatal);
}

static void raise_error(int code, const char *reason) {
    PyObject *error = error_of(code, reason, code == RD_KAFKA_RESP_ERR__FATAL);
    if (error != NULL) {
        PyErr_SetObject(KafkaException, error);
        Py_DECREF(error);
    }
}

/* Keep what a callback raised until rd_kafka_poll returns, which it does now. */
static void end_poll(Producer *self) {
    if (self->exception_type != NULL)
        PyErr_WriteUnraisable((PyObject *)self);
    else
        PyErr_Fetch(&self->exception_type, &self->exception, &self->exception_place);
    kafka.rd_kafka_yield(self->handle);
}

static void call(Producer *self, PyObject *callback, const char *format, ...) {
    va_list values;
    va_start(values, format);
    PyObject *arguments = Py_VaBuildValue(format, values);
    va_end(values);
    PyObject *result = arguments == NULL ? NULL : PyObject_CallObject(callback, arguments);
    Py_XDECREF(arguments);
    if (result == NULL)
        end_poll(self);
    Py_XDECREF(result);
}

/* -- Records that are out -- */

static Out *add_out(Producer *self, PyObject *on_ack, PyObject *value) {
    Out *out = PyMem_Malloc(sizeof(Out));
    if (out == NULL)
        return NULL;
    out->on_ack = Py_NewRef(on_ack);
    out->value = Py_NewRef(value);
    out->place = &self->out;
    out->next = self->out;
    if (out->next != NULL)
        out->next->place = &out->next;
    self->out = out;
    return out;
}

static void remove_out(Out *out) {
    *out->place = out->next;
    if (out->next != NULL)
        out->next->place = out->place;
    PyObject *on_ack = out->on_ack, *value = out->value;
    PyMem_Free(out);
    Py_DECREF(on_ack);
    Py_DECREF(value);
}

/* -- Callbacks, all from rd_kafka_poll -- */

static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    Producer *self = opaque;
    Out *out = message->_private;
    PyObject *error = message->err ? error_of(message->err, NULL, 0) : Py_NewRef(Py_None);
    PyObject *result = NULL;
    if (error != NULL) {
        self->outcome->partition = message->partition;
        self->outcome->offset = message->offset;
        PyObject *arguments[] = {error, (PyObject *)self->outcome};
        result = PyObject_Vectorcall(out->on_ack, arguments, 2, NULL);
        Py_DECREF(error);
    }
    if (result == NULL)
        end_poll(self);
    Py_XDECREF(result);
    remove_out(out);
}

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque) {
    Producer *self = opaque;
    char first[REASON_BYTES];
    int is_fatal = code == RD_KAFKA_RESP_ERR__FATAL;
    if (is_fatal) {
        code = kafka.rd_kafka_fatal_error(handle, first, sizeof first);
        reason = first;
    }
    PyObject *error = error_of(code, reason, is_fatal);
    if (error == NULL)
        end_poll(self);
    else
        call(self, self->on_error, "(N)", error);
}

static int on_statistics(rd_kafka_t *handle, char *json, size_t length, void *opaque) {
    Producer *self = opaque;
    call(self, self->on_statistics, "(s#)", json, (Py_ssize_t)length);
    return 0; /* librdkafka frees the text. */
}

static void on_throttle(rd_kafka_t *handle, const char *broker, int32_t broker_id, int throttle_ms, void *opaque) {
    Producer *self = opaque;
    call(self, self->on_throttle, "(di)", throttle_ms / 1000.0, (int)broker_id);
}

static void on_line(const rd_kafka_t *handle, int level, const char *facility, const char *text) {
    static const int LEVELS[] = {50, 50, 50, 40, 30, 20, 20, 10}; /* Syslog's as those of logging. */
    if (handle == NULL) /* There is no producer yet. */
        return;
    Producer *self = kafka.rd_kafka_opaque(handle);
    int known = level < 0 ? 0 : level > 7 ? 7 : level;
    PyObject *line = PyUnicode_DecodeUTF8(text, strlen(text), "replace");
    if (line == NULL)
        end_poll(self);
    else
        call(self, self->on_line, "(isN)", LEVELS[known], facility, line);
}

/* -- Outcome -- */

static PyObject *Outcome_partition(Outcome *self, PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromLong(self->partition);
}

static PyObject *Outcome_offset(Outcome *self, PyObject *Py_UNUSED(ignored)) {
    return PyLong_FromLongLong(self->offset);
}

static PyMethodDef Outcome_methods[] = {
    {"partition", (PyCFunction)Outcome_partition, METH_NOARGS, NULL},
    {"offset", (PyCFunction)Outcome_offset, METH_NOARGS, NULL},
    {NULL},
};

static PyTypeObject OutcomeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "server.sink.kafka.client.binding.Outcome",
    .tp_basicsize = sizeof(Outcome),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = Outcome_methods,
};

/* -- Topic -- */

/* Return the headers, or NULL with an exception. */
static rd_kafka_headers_t *headers_of(PyObject *pairs) {
    Py_ssize_t count = PyList_GET_SIZE(pairs);
    rd_kafka_headers_t *headers = kafka.rd_kafka_headers_new(count);
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *pair = PyList_GET_ITEM(pairs, at);
        if (!PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyUnicode_Check(PyTuple_GET_ITEM(pair, 0)) ||
            !PyBytes_Check(PyTuple_GET_ITEM(pair, 1))) {
            PyErr_SetString(PyExc_TypeError, "a header is a name and bytes");
            goto failed;
        }
        Py_ssize_t length;
        const char *name = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(pair, 0), &length);
        if (name == NULL)
            goto failed;
        PyObject *value = PyTuple_GET_ITEM(pair, 1);
        kafka.rd_kafka_header_add(headers, name, length, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    return headers;
failed:
    kafka.rd_kafka_headers_destroy(headers);
    return NULL;
}

static int are_usable(PyObject *const *arguments, size_t count, PyObject *names) {
    if (PyVectorcall_NARGS(count) == 5 && names == NULL && PyBytes_Check(arguments[0]) &&
        (arguments[1] == Py_None || PyBytes_Check(arguments[1])) && PyLong_Check(arguments[3]) &&
        PyList_Check(arguments[4]))
        return 1;
    PyErr_SetString(PyExc_TypeError, "a topic takes: value, key or None, on_ack, timestamp_ms, list of headers");
    return 0;
}

/* topic(value, key, on_ack, timestamp_ms, headers) */
static PyObject *Topic_call(Topic *self, PyObject *const *arguments, size_t count, PyObject *names) {
    if (!are_usable(arguments, count, names))
        return NULL;
    PyObject *value = arguments[0], *key = arguments[1];
    long long timestamp_ms = PyLong_AsLongLong(arguments[3]);
    if (timestamp_ms == -1 && PyErr_Occurred())
        return NULL;
    rd_kafka_headers_t *headers = headers_of(arguments[4]);
    if (headers == NULL)
        return NULL;
    Out *out = add_out(self->producer, arguments[2], value);
    if (out == NULL) {
        kafka.rd_kafka_headers_destroy(headers);
        return PyErr_NoMemory();
    }
    int has_key = key != Py_None;
    int code = kafka.rd_kafka_producev(
        self->producer->handle,
        RD_KAFKA_VTYPE_RKT, self->handle,
        RD_KAFKA_VTYPE_VALUE, (void *)PyBytes_AS_STRING(value), (size_t)PyBytes_GET_SIZE(value),
        RD_KAFKA_VTYPE_KEY, has_key ? (void *)PyBytes_AS_STRING(key) : NULL, has_key ? (size_t)PyBytes_GET_SIZE(key) : 0,
        RD_KAFKA_VTYPE_TIMESTAMP, (int64_t)timestamp_ms,
        RD_KAFKA_VTYPE_HEADERS, headers,
        RD_KAFKA_VTYPE_OPAQUE, (void *)out,
        RD_KAFKA_VTYPE_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        Py_RETURN_NONE;
    kafka.rd_kafka_headers_destroy(headers); /* They are librdkafka's only if it takes the record. */
    remove_out(out);
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        PyErr_SetString(PyExc_BufferError, "librdkafka's queue is full");
    else
        raise_error(code, NULL);
    return NULL;
}

static int Topic_traverse(Topic *self, visitproc visit, void *arg) {
    Py_VISIT(self->producer);
    return 0;
}

static void Topic_dealloc(Topic *self) {
    PyObject_GC_UnTrack(self);
    kafka.rd_kafka_topic_destroy(self->handle);
    Py_DECREF(self->producer);
    PyObject_GC_Del(self);
}

static PyTypeObject TopicType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "server.sink.kafka.client.binding.Topic",
    .tp_basicsize = sizeof(Topic),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_vectorcall_offset = offsetof(Topic, call),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = (traverseproc)Topic_traverse,
    .tp_dealloc = (destructor)Topic_dealloc,
};

/* -- Producer -- */

/* Return a handle of the topic, or NULL with an exception. */
static rd_kafka_topic_t *open_topic(Producer *self, PyObject *name) {
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "the name of a topic is a str");
        return NULL;
    }
    Py_ssize_t length;
    const char *text = PyUnicode_AsUTF8AndSize(name, &length);
    if (text == NULL)
        return NULL;
    if (strlen(text) != (size_t)length) {
        PyErr_SetString(PyExc_ValueError, "the name of a topic holds a null character");
        return NULL;
    }
    rd_kafka_topic_t *topic = kafka.rd_kafka_topic_new(self->handle, text, NULL);
    if (topic == NULL)
        raise_error(kafka.rd_kafka_last_error(), NULL);
    return topic;
}

static PyObject *Producer_topic(Producer *self, PyObject *name) {
    rd_kafka_topic_t *handle = open_topic(self, name);
    if (handle == NULL)
        return NULL;
    Topic *topic = PyObject_GC_New(Topic, &TopicType);
    if (topic == NULL) {
        kafka.rd_kafka_topic_destroy(handle);
        return NULL;
    }
    topic->call = (vectorcallfunc)Topic_call;
    topic->producer = (Producer *)Py_NewRef(self);
    topic->handle = handle;
    PyObject_GC_Track(topic);
    return (PyObject *)topic;
}

static PyObject *Producer_poll(Producer *self, PyObject *timeout) {
    double timeout_s = PyFloat_AsDouble(timeout);
    if (timeout_s == -1.0 && PyErr_Occurred())
        return NULL;
    int served = kafka.rd_kafka_poll(self->handle, (int)(timeout_s * 1000));
    if (self->exception_type == NULL)
        return PyLong_FromLong(served);
    PyErr_Restore(self->exception_type, self->exception, self->exception_place);
    self->exception_type = self->exception = self->exception_place = NULL;
    return NULL;
}

static PyObject *Producer_purge(Producer *self, PyObject *arguments, PyObject *names) {
    static char *NAMES[] = {"in_queue", "in_flight", "blocking", NULL};
    int in_queue = 1, in_flight = 1, blocking = 1, code;
    if (!PyArg_ParseTupleAndKeywords(arguments, names, "|$ppp", NAMES, &in_queue, &in_flight, &blocking))
        return NULL;
    int flags = (in_queue ? RD_KAFKA_PURGE_F_QUEUE : 0) | (in_flight ? RD_KAFKA_PURGE_F_INFLIGHT : 0) |
                (blocking ? 0 : RD_KAFKA_PURGE_F_NON_BLOCKING);
    Py_BEGIN_ALLOW_THREADS
    code = kafka.rd_kafka_purge(self->handle, flags);
    Py_END_ALLOW_THREADS
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        Py_RETURN_NONE;
    raise_error(code, NULL);
    return NULL;
}

/* Ask a broker for its topics, or for this one. Returns the number of partitions of the first, or -1 with an
 * exception. */
static int ask(Producer *self, rd_kafka_topic_t *topic, double timeout_s) {
    const struct rd_kafka_metadata *found;
    int code, partitions = 0;
    Py_BEGIN_ALLOW_THREADS
    code = kafka.rd_kafka_metadata(self->handle, topic == NULL, topic, &found, (int)(timeout_s * 1000));
    Py_END_ALLOW_THREADS
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        raise_error(code, NULL);
        return -1;
    }
    if (found->topic_cnt > 0)
        partitions = found->topics[0].partition_cnt;
    kafka.rd_kafka_metadata_destroy(found);
    return partitions;
}

static PyObject *Producer_reach(Producer *self, PyObject *timeout) {
    double timeout_s = PyFloat_AsDouble(timeout);
    if ((timeout_s == -1.0 && PyErr_Occurred()) || ask(self, NULL, timeout_s) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Producer_partitions(Producer *self, PyObject *arguments) {
    PyObject *name;
    double timeout_s;
    if (!PyArg_ParseTuple(arguments, "Ud", &name, &timeout_s))
        return NULL;
    rd_kafka_topic_t *topic = open_topic(self, name);
    if (topic == NULL)
        return NULL;
    int partitions = ask(self, topic, timeout_s);
    kafka.rd_kafka_topic_destroy(topic);
    return partitions < 0 ? NULL : PyLong_FromLong(partitions);
}

static Py_ssize_t Producer_length(Producer *self) {
    return kafka.rd_kafka_outq_len(self->handle);
}

/* Return librdkafka's form of the properties, or NULL with an exception. */
static rd_kafka_conf_t *conf_of(PyObject *properties) {
    rd_kafka_conf_t *conf = kafka.rd_kafka_conf_new();
    PyObject *name, *value;
    Py_ssize_t place = 0;
    char reason[REASON_BYTES];
    while (PyDict_Next(properties, &place, &name, &value)) {
        const char *name_text = PyUnicode_AsUTF8(name);
        const char *value_text = name_text == NULL ? NULL : PyUnicode_AsUTF8(value);
        if (value_text == NULL)
            goto failed;
        if (kafka.rd_kafka_conf_set(conf, name_text, value_text, reason, sizeof reason) != RD_KAFKA_CONF_OK) {
            raise_error(RD_KAFKA_RESP_ERR__INVALID_ARG, reason);
            goto failed;
        }
    }
    return conf;
failed:
    kafka.rd_kafka_conf_destroy(conf);
    return NULL;
}

static int start(Producer *self, PyObject *properties) {
    char reason[REASON_BYTES];
    rd_kafka_conf_t *conf = conf_of(properties);
    if (conf == NULL)
        return -1;
    kafka.rd_kafka_conf_set(conf, "log.queue", "true", reason, sizeof reason); /* Lines come by polling, too. */
    kafka.rd_kafka_conf_set_opaque(conf, self);
    kafka.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    kafka.rd_kafka_conf_set_error_cb(conf, on_error);
    kafka.rd_kafka_conf_set_stats_cb(conf, on_statistics);
    kafka.rd_kafka_conf_set_throttle_cb(conf, on_throttle);
    kafka.rd_kafka_conf_set_log_cb(conf, on_line);
    self->handle = kafka.rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (self->handle == NULL) {
        raise_error(kafka.rd_kafka_last_error(), reason);
        kafka.rd_kafka_conf_destroy(conf); /* It is librdkafka's only if it makes a producer. */
        return -1;
    }
    kafka.rd_kafka_set_log_queue(self->handle, NULL);
    return 0;
}

static PyObject *Producer_new(PyTypeObject *type, PyObject *arguments, PyObject *names) {
    PyObject *properties, *on_error, *on_statistics, *on_throttle, *on_line;
    if (!PyArg_ParseTuple(arguments, "O!(OOOO)", &PyDict_Type, &properties, &on_error, &on_statistics, &on_throttle,
                          &on_line))
        return NULL;
    Producer *self = (Producer *)type->tp_alloc(type, 0);
    if (self == NULL)
        return NULL;
    self->on_error = Py_NewRef(on_error);
    self->on_statistics = Py_NewRef(on_statistics);
    self->on_throttle = Py_NewRef(on_throttle);
    self->on_line = Py_NewRef(on_line);
    self->outcome = PyObject_New(Outcome, &OutcomeType);
    if (self->outcome == NULL || start(self, properties) < 0)
        Py_CLEAR(self);
    return (PyObject *)self;
}

static int Producer_traverse(Producer *self, visitproc visit, void *arg) {
    Py_VISIT(self->on_error);
    Py_VISIT(self->on_statistics);
    Py_VISIT(self->on_throttle);
    Py_VISIT(self->on_line);
    return 0;
}

/* The callbacks stay until the end: only polling calls them, and who is cleared is polled no more. */
static int Producer_clear(Producer *self) {
    Py_CLEAR(self->on_error);
    Py_CLEAR(self->on_statistics);
    Py_CLEAR(self->on_throttle);
    Py_CLEAR(self->on_line);
    return 0;
}

static void Producer_dealloc(Producer *self) {
    PyObject_GC_UnTrack(self);
    if (self->handle != NULL) {
        Py_BEGIN_ALLOW_THREADS
        kafka.rd_kafka_destroy(self->handle); /* Its threads have ended when this returns. */
        Py_END_ALLOW_THREADS
    }
    while (self->out != NULL)
        remove_out(self->out);
    Producer_clear(self);
    Py_XDECREF(self->outcome);
    Py_TYPE(self)->tp_free(self);
}

static PyMethodDef Producer_methods[] = {
    {"topic", (PyCFunction)Producer_topic, METH_O, NULL},
    {"poll", (PyCFunction)Producer_poll, METH_O, NULL},
    {"purge", (PyCFunction)(void (*)(void))Producer_purge, METH_VARARGS | METH_KEYWORDS, NULL},
    {"reach", (PyCFunction)Producer_reach, METH_O, NULL},
    {"partitions", (PyCFunction)Producer_partitions, METH_VARARGS, NULL},
    {NULL},
};

static PySequenceMethods Producer_sequence = {.sq_length = (lenfunc)Producer_length};

static PyTypeObject ProducerType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "server.sink.kafka.client.binding.Producer",
    .tp_basicsize = sizeof(Producer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = Producer_new,
    .tp_dealloc = (destructor)Producer_dealloc,
    .tp_traverse = (traverseproc)Producer_traverse,
    .tp_clear = (inquiry)Producer_clear,
    .tp_methods = Producer_methods,
    .tp_as_sequence = &Producer_sequence,
};

/* -- Module -- */

/* Find librdkafka's functions through confluent_kafka, which is linked with it. */
static int find_librdkafka(void) {
    PyObject *extension = PyImport_ImportModule("confluent_kafka.cimpl");
    if (extension == NULL)
        return -1;
    KafkaError = PyObject_GetAttrString(extension, "KafkaError");
    KafkaException = PyObject_GetAttrString(extension, "KafkaException");
    PyObject *path = PyModule_GetFilenameObject(extension);
    const char *text = path == NULL ? NULL : PyUnicode_AsUTF8(path);
    void *library = text == NULL ? NULL : dlopen(text, RTLD_NOW | RTLD_LOCAL);
    Py_XDECREF(path);
    Py_DECREF(extension);
    if (KafkaError == NULL || KafkaException == NULL || text == NULL)
        return -1;
#define FIND(result, name, arguments)                                                                                  \
    if ((kafka.name = library == NULL ? NULL : dlsym(library, #name)) == NULL) {                                       \
        PyErr_Format(PyExc_ImportError, "confluent_kafka does not lead to %s of librdkafka", #name);                   \
        return -1;                                                                                                     \
    }
    LIBRDKAFKA(FIND)
    if (kafka.rd_kafka_version() >= OLDEST_VERSION)
        return 0;
    PyErr_SetString(PyExc_ImportError, "librdkafka is older than 2.0");
    return -1;
}

static PyModuleDef binding = {PyModuleDef_HEAD_INIT, .m_name = "binding", .m_size = -1};

/* Its name is that of server.compiled.modules.initialiser. */
PyMODINIT_FUNC PyInit_server_sink_kafka_client_binding(void) {
    if (find_librdkafka() < 0 || PyType_Ready(&OutcomeType) < 0 || PyType_Ready(&TopicType) < 0)
        return NULL;
    PyObject *module = PyModule_Create(&binding);
    if (module != NULL && PyModule_AddType(module, &ProducerType) < 0)
        Py_CLEAR(module);
    return module;
}
