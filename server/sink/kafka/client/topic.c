/* A topic: a callable that puts a record for it into librdkafka's queue.
 *
 * Place: sink.kafka.producer, for each record → HERE → rd_kafka_producev.
 * Rule: it holds its producer, and librdkafka's handle of the topic, so that no record looks for it by its name.
 */

#include <stddef.h>
#include <string.h>

#include "binding.h"

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    Producer *producer;
    rd_kafka_topic_t *handle;
} Topic;

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

PyTypeObject TopicType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "server.sink.kafka.client.binding.Topic",
    .tp_basicsize = sizeof(Topic),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_vectorcall_offset = offsetof(Topic, call),
    .tp_call = PyVectorcall_Call,
    .tp_traverse = (traverseproc)Topic_traverse,
    .tp_dealloc = (destructor)Topic_dealloc,
};

/* Return a handle of the topic, or NULL with an exception. */
rd_kafka_topic_t *open_topic(Producer *self, PyObject *name) {
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

PyObject *Producer_topic(Producer *self, PyObject *name) {
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
