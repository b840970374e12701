/* The records that are out, and what librdkafka says of them and of itself: acks, errors, statistics, lines.
 *
 * Place: rd_kafka_poll → HERE → on_ack and the callbacks of the contract.
 * Rule: a callback that raises ends the poll. librdkafka keeps the rest for the next one.
 */

#include "binding.h"

Out *add_out(Producer *self, PyObject *on_ack, PyObject *value) {
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

void remove_out(Out *out) {
    *out->place = out->next;
    if (out->next != NULL)
        out->next->place = out->place;
    PyObject *on_ack = out->on_ack, *value = out->value;
    PyMem_Free(out);
    Py_DECREF(on_ack);
    Py_DECREF(value);
}

/* Keep what a callback raised until rd_kafka_poll returns, which it does now. */
static void end_poll(Producer *self) {
    if (self->raised_type != NULL)
        PyErr_WriteUnraisable((PyObject *)self);
    else
        PyErr_Fetch(&self->raised_type, &self->raised_value, &self->raised_place);
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

void set_callbacks(rd_kafka_conf_t *conf, Producer *self) {
    kafka.rd_kafka_conf_set_opaque(conf, self);
    kafka.rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    kafka.rd_kafka_conf_set_error_cb(conf, on_error);
    kafka.rd_kafka_conf_set_stats_cb(conf, on_statistics);
    kafka.rd_kafka_conf_set_throttle_cb(conf, on_throttle);
    kafka.rd_kafka_conf_set_log_cb(conf, on_line);
}

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

PyTypeObject OutcomeType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "server.sink.kafka.client.binding.Outcome",
    .tp_basicsize = sizeof(Outcome),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .tp_methods = Outcome_methods,
};
