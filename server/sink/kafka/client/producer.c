/* A producer of librdkafka.
 *
 * Place: sink.kafka.making → HERE → librdkafka.
 * Rule: librdkafka is ended before anything that its threads read is freed.
 */

#include "binding.h"

static PyObject *Producer_poll(Producer *self, PyObject *timeout) {
    double timeout_s = PyFloat_AsDouble(timeout);
    if (timeout_s == -1.0 && PyErr_Occurred())
        return NULL;
    int served = kafka.rd_kafka_poll(self->handle, (int)(timeout_s * 1000));
    if (self->raised_type == NULL)
        return PyLong_FromLong(served);
    PyErr_Restore(self->raised_type, self->raised_value, self->raised_place);
    self->raised_type = self->raised_value = self->raised_place = NULL;
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
    set_callbacks(conf, self);
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

/* Only polling calls the callbacks, and a producer that is collected is not polled any more. */
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

PyTypeObject ProducerType = {
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
