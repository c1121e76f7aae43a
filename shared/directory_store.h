/* Looking people up, and the list of whom one talked with. */
#ifndef PARLEY_DIRECTORY_STORE_H
#define PARLEY_DIRECTORY_STORE_H

#include "shared/store.h"

/* Exact, in either case; without email. ERR_USER_NOT_FOUND. */
MUSTCHECK enum error user_by_name(struct db *db, struct arena *a, const char *username, struct user *out);

struct directory_entry {
    struct user user;    /* email only of the user who asks */
    struct message last; /* between the two; id 0: none, or not asked for */
};

/* All users by id: with after_id 0 the one who asks, then at most limit others; else those after. */
MUSTCHECK enum error user_list(struct db *db, struct arena *a, int64_t me, int64_t after_id, int64_t limit,
                               bool with_last, struct directory_entry **out, int *count);

/* The last message of each of my conversations, latest first. */
MUSTCHECK enum error chat_list(struct db *db, struct arena *a, int64_t me, struct message **out, int *count);

#endif
