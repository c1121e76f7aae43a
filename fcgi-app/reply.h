/* An answer: filled in by a handler or an error, rendered as CGI headers (RFC 3875) and JSON. */
#ifndef PARLEY_REPLY_H
#define PARLEY_REPLY_H

#include "fcgi-app/request.h"

struct json_object;

struct reply {
    int status;
    struct json_object *body; /* owned; NULL: none */
    char *text;               /* owned, from malloc: what is sent in the place of body, */
    const char *text_type;    /* and its Content-Type */
    const char *next_cursor;  /* a header, where the body may have no place for it; NULL: none */
    enum error error;         /* what the body says when the request was refused, else OK */
    unsigned methods;         /* those of the path, for Allow; 0: not told */
    bool preflight;           /* the answer to a browser's question whether it may ask (CORS) */
    bool replayed;            /* an idempotency key had done this before */
    bool wake;                /* tell the daemons to look, once the client has its answer */
};

void reply_release(struct reply *out);

/* Takes body. */
void reply_json(struct reply *out, int status, struct json_object *body);

/* An envelope, {name: value}. Takes value. */
void reply_member(struct reply *out, int status, const char *name, struct json_object *value);

/* Something other than JSON, with status 200. Takes text, which malloc made. */
void reply_text(struct reply *out, const char *type, char *text);

/* 204. */
void reply_empty(struct reply *out);
/* The same for a change, of which the daemons are to hear; unless e is an error. Gives e back. */
MUSTCHECK enum error reply_changed(struct reply *out, enum error e);

/* Problem details (RFC 9457) with the members older clients read, in place of whatever was there. */
void reply_error(struct reply *out, enum error e, const char *sentence);

/* The answer as text: the headers with their empty line, and the body; both live as long as the request
 * and the reply. For HEAD the body is empty, the headers are those of GET. */
void reply_render(const struct reply *out, struct request *req, struct text *head, struct text *body);

#endif
