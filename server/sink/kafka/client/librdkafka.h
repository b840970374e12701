/* The part of librdkafka's interface that binding.c uses, so that no header has to be installed.
 *
 * Source: rdkafka.h of librdkafka 2.x, whose binary interface is stable since 1.0 (its README, "Versioning"). Names,
 * numbers and layouts are librdkafka's; only what is used is declared. tests/server/sink/kafka/client/test_header.py
 * compares them with the real header where that is installed.
 * Not here: how the functions are found (binding.c).
 */

#ifndef PENSTOCK_LIBRDKAFKA_H
#define PENSTOCK_LIBRDKAFKA_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct rd_kafka_s rd_kafka_t;
typedef struct rd_kafka_conf_s rd_kafka_conf_t;
typedef struct rd_kafka_headers_s rd_kafka_headers_t;
typedef struct rd_kafka_queue_s rd_kafka_queue_t;
typedef struct rd_kafka_topic_s rd_kafka_topic_t;
typedef struct rd_kafka_topic_conf_s rd_kafka_topic_conf_t;

typedef enum { RD_KAFKA_PRODUCER = 0 } rd_kafka_type_t;
enum { RD_KAFKA_CONF_OK = 0 };
enum { RD_KAFKA_PURGE_F_QUEUE = 0x1, RD_KAFKA_PURGE_F_INFLIGHT = 0x2, RD_KAFKA_PURGE_F_NON_BLOCKING = 0x4 };

enum {
    RD_KAFKA_RESP_ERR_NO_ERROR = 0,
    RD_KAFKA_RESP_ERR__FATAL = -150,
    RD_KAFKA_RESP_ERR__QUEUE_FULL = -184,
    RD_KAFKA_RESP_ERR__INVALID_ARG = -186,
};

/* What an argument of rd_kafka_producev is; its values follow it. */
enum {
    RD_KAFKA_VTYPE_END = 0,
    RD_KAFKA_VTYPE_RKT = 2,       /* rd_kafka_topic_t * */
    RD_KAFKA_VTYPE_VALUE = 4,     /* void *, size_t */
    RD_KAFKA_VTYPE_KEY = 5,       /* void *, size_t */
    RD_KAFKA_VTYPE_OPAQUE = 6,    /* void * */
    RD_KAFKA_VTYPE_TIMESTAMP = 8, /* int64_t, milliseconds of Unix time */
    RD_KAFKA_VTYPE_HEADERS = 10,  /* rd_kafka_headers_t * */
};

typedef struct rd_kafka_message_s {
    int err;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    void *payload;
    size_t len;
    void *key;
    size_t key_len;
    int64_t offset;
    void *_private; /* RD_KAFKA_VTYPE_OPAQUE */
} rd_kafka_message_t;

struct rd_kafka_metadata_topic {
    char *topic;
    int partition_cnt;
    void *partitions;
    int err;
};

struct rd_kafka_metadata {
    int broker_cnt;
    void *brokers;
    int topic_cnt;
    struct rd_kafka_metadata_topic *topics;
};

typedef void on_delivery_t(rd_kafka_t *, const rd_kafka_message_t *, void *opaque);
typedef void on_error_t(rd_kafka_t *, int error, const char *reason, void *opaque);
typedef int on_statistics_t(rd_kafka_t *, char *json, size_t length, void *opaque);
typedef void on_throttle_t(rd_kafka_t *, const char *broker, int32_t broker_id, int throttle_ms, void *opaque);
typedef void on_line_t(const rd_kafka_t *, int level, const char *facility, const char *text);

/* F(result, name, arguments) for each function. */
#define LIBRDKAFKA(F)                                                                                                \
    F(int, rd_kafka_version, (void))                                                                                   \
    F(rd_kafka_conf_t *, rd_kafka_conf_new, (void))                                                                    \
    F(void, rd_kafka_conf_destroy, (rd_kafka_conf_t *))                                                                \
    F(int, rd_kafka_conf_set, (rd_kafka_conf_t *, const char *, const char *, char *error, size_t))                    \
    F(void, rd_kafka_conf_set_opaque, (rd_kafka_conf_t *, void *))                                                     \
    F(void, rd_kafka_conf_set_dr_msg_cb, (rd_kafka_conf_t *, on_delivery_t *))                                         \
    F(void, rd_kafka_conf_set_error_cb, (rd_kafka_conf_t *, on_error_t *))                                             \
    F(void, rd_kafka_conf_set_stats_cb, (rd_kafka_conf_t *, on_statistics_t *))                                        \
    F(void, rd_kafka_conf_set_throttle_cb, (rd_kafka_conf_t *, on_throttle_t *))                                       \
    F(void, rd_kafka_conf_set_log_cb, (rd_kafka_conf_t *, on_line_t *))                                                \
    F(rd_kafka_t *, rd_kafka_new, (rd_kafka_type_t, rd_kafka_conf_t *, char *error, size_t))                           \
    F(void, rd_kafka_destroy, (rd_kafka_t *))                                                                          \
    F(int, rd_kafka_set_log_queue, (rd_kafka_t *, rd_kafka_queue_t *))                                                 \
    F(void *, rd_kafka_opaque, (const rd_kafka_t *))                                                                   \
    F(int, rd_kafka_last_error, (void))                                                                                \
    F(int, rd_kafka_fatal_error, (rd_kafka_t *, char *error, size_t))                                                  \
    F(rd_kafka_topic_t *, rd_kafka_topic_new, (rd_kafka_t *, const char *, rd_kafka_topic_conf_t *))                   \
    F(void, rd_kafka_topic_destroy, (rd_kafka_topic_t *))                                                              \
    F(rd_kafka_headers_t *, rd_kafka_headers_new, (size_t))                                                            \
    F(void, rd_kafka_headers_destroy, (rd_kafka_headers_t *))                                                          \
    F(int, rd_kafka_header_add, (rd_kafka_headers_t *, const char *, ssize_t, const void *, ssize_t))                  \
    F(int, rd_kafka_producev, (rd_kafka_t *, ...))                                                                     \
    F(int, rd_kafka_poll, (rd_kafka_t *, int timeout_ms))                                                              \
    F(void, rd_kafka_yield, (rd_kafka_t *))                                                                            \
    F(int, rd_kafka_outq_len, (rd_kafka_t *))                                                                          \
    F(int, rd_kafka_purge, (rd_kafka_t *, int flags))                                                                  \
    F(int, rd_kafka_metadata, (rd_kafka_t *, int all, rd_kafka_topic_t *, const struct rd_kafka_metadata **, int ms))  \
    F(void, rd_kafka_metadata_destroy, (const struct rd_kafka_metadata *))

#endif
