/* The five systems' common model: what stores read and views show. Plain data; strings belong to
 * the arena of the request or event. Times are microseconds since the epoch, TIME_NONE for NULL. */
#ifndef PARLEY_MODEL_H
#define PARLEY_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes with a length; text NULL: absent. NUL-terminated, without NUL inside. */
struct text {
    const char *s;
    size_t len;
};

struct user {
    int64_t id;
    const char *username;
    const char *email; /* NULL: none. Shown to its owner only. */
    const char *display_name;
    const char *password_hash; /* only where the store says so */
    bool is_active;
    bool email_verified;
    int64_t created_at, updated_at;
};

/* A message with what its conversation and people add to it (message_view). */
struct message {
    int64_t id, conversation_id, seq;
    const char *type;
    struct text content; /* NULL: media only */
    const char *media_url;
    const char *client_key;
    int64_t created_at, edited_at;
    bool is_group;
    int64_t conversation_created_at;
    struct user sender;    /* without email */
    struct user recipient; /* id 0 in a group; else id, username and created_at */
};

struct participant {
    struct user user; /* id, username, display_name, is_active, times */
    const char *role; /* owner | member */
    int64_t joined_at;
    int64_t delivered_seq, delivered_at, read_seq, read_at;
};

struct conversation {
    int64_t id;
    bool is_group;
    const char *name; /* groups only */
    int64_t owner_id; /* groups only, 0: none */
    int64_t owner_created_at;
    int64_t last_seq;
    int64_t created_at, updated_at;
    struct participant *people; /* in the order they joined */
    int people_count;
    struct message *last; /* NULL: no message yet */
    int64_t unread;       /* for the user who asked */
};

struct contact {
    int64_t id;
    struct user other;                                /* without email */
    int64_t conversation_id, conversation_created_at; /* their direct conversation */
    int64_t created_at, updated_at;
};

struct invitation {
    int64_t id;
    struct user from, to; /* without email */
    int64_t created_at, updated_at;
};

/* A login, as its user sees it. */
struct session_info {
    int64_t id;
    const char *dialect, *user_agent, *address; /* the last two NULL: not known */
    int64_t created_at, used_at, expires_at;
    bool current; /* the one that asks */
};

/* A token for scripts, as its user sees it. */
struct token_info {
    int64_t id;
    const char *label;
    unsigned scopes;
    int64_t conversation_id, conversation_created_at; /* 0: any */
    int64_t created_at, expires_at, used_at;          /* the last two may be TIME_NONE */
};

/* An incoming webhook. */
struct webhook {
    int64_t id, created_at; /* of the user its messages are from */
    const char *username, *name;
    int64_t maker_id, maker_created_at;
    int64_t used_at; /* TIME_NONE: never */
};

/* How far a message got with one recipient. */
struct delivery {
    int64_t user_id, user_created_at;
    const char *status;            /* sent | delivered | read */
    int64_t delivered_at, read_at; /* TIME_NONE: not yet */
};

/* Something other than a new message that became visible; see the events table. */
struct event {
    int64_t id;
    const char *kind;
    int64_t conversation_id, user_id, actor_id, session_id, seq;
    int64_t conversation_created, user_created, actor_created; /* for their UUIDs; TIME_NONE: gone */
    int64_t at;                         /* when it happened; the feed's: TIME_NONE for a message, which has its own */
    const char *user_name, *actor_name; /* not of the feed's; NULL: nobody, or gone */
    const char *conversation_name;      /* as it is now; NULL: it has none, or is gone */
};

/* What became visible: a new message (event.kind "message") or another event, with the message it is
 * about, if any (message.id 0: none). */
struct change {
    struct event event;
    struct message message;
};

#endif
