/* The module of the binding: it finds librdkafka's functions through confluent_kafka, and makes its errors.
 *
 * Place: imported by sink.kafka.making → HERE → producer.c, topic.c, outcomes.c.
 * Rule: there is one librdkafka in a process, that of confluent_kafka. Without one that has all functions, importing
 * this fails, and sink.kafka.client.plain takes its place.
 */

#include <dlfcn.h>

#include "binding.h"

#define OLDEST_VERSION 0x02000000

Librdkafka kafka;
PyObject *KafkaError, *KafkaException;

PyObject *error_of(int code, const char *reason, int is_fatal) {
    if (reason == NULL)
        return PyObject_CallFunction(KafkaError, "i", code);
    return PyObject_CallFunction(KafkaError, "isi", code, reason, is_fatal);
}

void raise_error(int code, const char *reason) {
    PyObject *error = error_of(code, reason, code == RD_KAFKA_RESP_ERR__FATAL);
    if (error != NULL) {
        PyErr_SetObject(KafkaException, error);
        Py_DECREF(error);
    }
}

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
