/* Requests as any client makes them, one at a time or some at once. */
#ifndef PARLEY_WEB_H
#define PARLEY_WEB_H

#include "shared/arena.h"
#include "shared/model.h"

#include <stdbool.h>
#include <time.h>

enum { WEB_AT_ONCE = 64 };

struct request_spec {
    const char *path;   /* with its query */
    const char *token;  /* for the Authorization header; NULL: none */
    const char *header; /* one more; NULL: none */
    struct text body;   /* s NULL: a GET; else a POST of JSON */
    const char *at;     /* a program's own address on this machine, as METRICS_LISTEN has it; NULL: the URL's */
};

struct answer {
    int status;        /* 0: none came, see error */
    const char *error; /* in words */
    int tls_error;     /* the certificate is the reason */
    struct text body;
    const char *content_type; /* "" without one */
    time_t date;              /* of the Date header, -1: none */
    const char *local_ip;     /* ours */
    double seconds;
    time_t certificate_ends; /* -1: no TLS */
};

struct web;

/* cacert NULL: the system's. Everything lives in the arena but the connections. */
struct web *web_new(struct arena *a, const char *url, const char *cacert);
void web_free(struct web *w);

/* At most seconds long. */
void web_ask(struct web *w, const struct request_spec *r, int seconds, struct answer *out);
/* count copies of a request at once, at most WEB_AT_ONCE; the answers in the order they were asked. */
void web_ask_many(struct web *w, const struct request_spec *r, int count, int seconds, struct answer *out);

/* A GET whose answer goes on: it is under way when web_stream_open() returns, and its head has come unless
 * somebody holds it back for longer than seconds. */
struct stream;
struct stream *web_stream_open(struct web *w, const struct request_spec *r, double seconds);
/* Waits until text stands in what has come; false when it does not within seconds, or all of the answer is there. */
bool web_stream_await(struct stream *s, const char *text, double seconds);
/* Breaks it off; out is what had come. True when that was all of it already. */
bool web_stream_close(struct stream *s, struct answer *out);

/* count connections that begin a POST to path and send no byte of its body, so that the server waits. Closed by
 * web_let_go(). Answers how many stand. */
int web_dangle(struct web *w, const char *path, const char *token, int count);
void web_let_go(struct web *w);

/* Is this the contract's error object, with this code (NULL: any)? */
bool answer_is_problem(const struct answer *a, const char *code);

#endif
