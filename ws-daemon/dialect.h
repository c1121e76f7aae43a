/* What a socket dialect is to the daemon: how it greets, what it understands, how it says things.
 * One file per dialect fills in the form; dialects.c lists them. */
#ifndef PARLEY_DIALECT_H
#define PARLEY_DIALECT_H

#include "shared/input.h"
#include "shared/token.h"
#include "ws-daemon/conn.h"
#include "ws-daemon/feed.h"

#include <stdio.h>

/* Somebody types, or stopped, in a conversation of the receiver. */
struct typing {
    bool on;
    int64_t user_id, user_created;
    int64_t conversation_id, conversation_created;
    bool is_group;
};

/* What a bad or missing token meets. */
enum bad_token {
    BAD_TOKEN_HTTP,  /* refused before the upgrade: 401 with the JSON error */
    BAD_TOKEN_CLOSE, /* upgraded, then closed with 4001 */
    BAD_TOKEN_FRAME, /* no token: the first frame has to bring it */
};

/* An inbound frame's meaning. On an error the caller answers in the dialect's shape, with the input's
 * sentence. */
typedef enum error operation(struct conn *c, struct input *in);

struct operation_entry {
    const char *type; /* as find_type tells it, or value of the type member; NULL: any frame */
    bool greeting;    /* allowed before authentication */
    operation *run;
};

struct dialect_ops {
    enum dialect dialect;
    const char *subprotocol; /* chat.dm, … */
    bool integers;           /* ids on the wire */
    bool groups;             /* has a place for group messages */
    bool own_differs;        /* a message looks different to its sender */
    enum bad_token bad_token;
    const char *type_member; /* of inbound frames; NULL: they have none */
    /* Which operation a frame asks for, where more than one member tells; NULL: type_member does. */
    enum error (*find_type)(struct input *in, struct text *type);
    const struct operation_entry *operations; /* the last has run NULL */

    /* Renderings; each returns a json_object the caller owns. */
    struct json_object *(*error)(enum error e, const char *sentence);
    /* own: for the sender's sockets; only told apart when own_differs. */
    struct json_object *(*message)(const struct message *m, bool own);
    /* Another change, NULL for one this dialect does not show; may be NULL itself. */
    struct json_object *(*event)(const struct change *c);

    /* Somebody types or came online; NULL: the dialect has no such frame. */
    struct json_object *(*typing)(const struct typing *t);
    struct json_object *(*presence)(int64_t user_id, int64_t user_created, bool online);

    /* Hooks; each may be NULL. */
    bool (*text)(struct conn *c, const char *text, size_t len); /* true: this was no JSON, and is dealt with */
    bool (*wants)(struct conn *c, const struct message *m);     /* is told before it gets one; NULL: all */
    void (*opened)(struct conn *c);                             /* authenticated, before the replay */
    bool pending;  /* without since, messages not yet delivered are replayed */
    bool receipts; /* has no acks: what was written to its sockets counts as delivered */
    void (*changed)(struct conn *c, const struct change *change); /* an event about its user */
};

extern const struct dialect_ops dialect_dm, dialect_conv, dialect_p2p, dialect_rooms, dialect_groups;

/* The dialect's form; the default of a path such as /ws/chat, NULL when the token decides. */
const struct dialect_ops *dialect_ops_of(enum dialect d);
const struct dialect_ops *dialect_ops_by_subprotocol(const char *name);
/* False when the path is no socket path. */
bool dialect_of_path(const char *path, const struct dialect_ops **out);

/* Every inbound operation of every dialect, `<dialect> <type>` a line, - for any frame: for people and
 * for the tests, which try each one. */
void dialects_print(FILE *out);

/* Parses one text frame and runs its operation, answering errors. */
void dialect_frame(struct conn *c, const char *text, size_t len);

/* The operation of the dialects that have a ping: answers {"type":"pong"}. */
operation dialect_ping;

/* Reads content and client_msg_id of an inbound message; content_name is the member the dialect keeps
 * the text in. Beside a media_url, which a dialect that has them reads first, content may be absent.
 * Fills what is the same for every dialect of *out. */
struct new_message;
MUSTCHECK enum error dialect_read_message(struct conn *c, struct input *in, const char *content_name,
                                          struct new_message *out);

#endif
