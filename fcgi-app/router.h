/* From a method and a path to a handler. The router keeps what the table's guards promise, so
 * handlers assume it. */
#ifndef PARLEY_ROUTER_H
#define PARLEY_ROUTER_H

#include "fcgi-app/reply.h"
#include "fcgi-app/request.h"
#include "shared/metrics.h"

#include <stdio.h>

/* Sets of methods. HEAD is GET without the body; OPTIONS is answered for every path. */
enum method { GET = 1, POST = 2, PUT = 4, PATCH = 8, DELETE = 16 };

/* Sets of guards; the legend is in routes.c. */
enum guard {
    AUTH = 1,
    AUTH_TOKEN = 2,
    BODY = 4,
    FORM = 8,
    READ = 16,
    SEND = 32,
    ADMIN = 64,
    ROOM = 128,
    MESSAGE = 256,
    NARROWS = 512,
};

struct route {
    enum method method;
    const char *pattern;
    unsigned guards;
    enum dialect dialect;
    enum error (*handle)(struct request *req, struct reply *out);
};

/* The table. */
const struct route *routes(int *count);

/* What a path turned out to be. */
struct match {
    const struct route *route;
    struct ref refs[2];
    const char *name;
    unsigned methods; /* all that the path has, by whatever route */
};

/* The route of a method and path. ERR_NOT_FOUND; ERR_METHOD: the path has other methods. out->methods
 * is set in any case. method 0: none, only ask. */
MUSTCHECK enum error router_match(const struct route *table, int count, unsigned method, const struct target *target,
                                  struct match *out);

/* "GET" → GET, "HEAD" → GET; 0 for others. */
unsigned method_parse(const char *name);

/* "GET, HEAD, POST, OPTIONS": what a set of methods means to a client. */
const char *methods_text(unsigned methods, struct arena *a);

/* Answers a request: match, guards, handler, errors. */
void router_serve(struct request *req, struct reply *out);

/* The routes by number, for metrics. */
const struct metric_routes *router_names(void);
/* The number of a request's route there. */
int router_number(const struct route *route);

/* One line per route: method, pattern, guards, dialect. */
void router_print(FILE *out);

#endif
