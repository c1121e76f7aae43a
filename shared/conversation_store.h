/* Conversations and who is in them. `me` is the user who asks. Changes are one statement each; after
 * one, wake() tells the sockets. Where a function gives the conversation back, out may be NULL. */
#ifndef PARLEY_CONVERSATION_STORE_H
#define PARLEY_CONVERSATION_STORE_H

#include "shared/store.h"

/* Which conversations a surface means. One of another kind is ERR_CONVERSATION_NOT_FOUND. */
enum conversation_kind { KIND_ANY, KIND_DIRECT, KIND_GROUP };

/* The kind's name in SQL; NULL for any. */
const char *conversation_kind_name(enum conversation_kind kind);

/* All of mine, latest first. unread is counted only on request: it costs what it counts. */
MUSTCHECK enum error conversation_list(struct db *db, struct arena *a, int64_t me, enum conversation_kind kind,
                                       bool count_unread, struct conversation **out, int *count);

/* ERR_NOT_MEMBER to outsiders, ERR_CONVERSATION_NOT_FOUND. */
MUSTCHECK enum error conversation_get(struct db *db, struct arena *a, int64_t me, const struct ref *ref,
                                      enum conversation_kind kind, struct conversation *out);

/* The direct conversation with peer, made when missing. ERR_USER_NOT_FOUND, ERR_SELF_MESSAGE. */
MUSTCHECK enum error direct_start(struct db *db, struct arena *a, int64_t me, const struct ref *peer,
                                  struct conversation *out, bool *created);

/* A group of mine. ERR_USER_NOT_FOUND, then *missing is the index of that one in people; else -1. missing may be
 * NULL. */
MUSTCHECK enum error group_create(struct db *db, struct arena *a, int64_t me, const char *name,
                                  const struct ref *people, int n, struct conversation *out, int *missing);
/* The same with those of my contacts who have these usernames; others are passed over. */
MUSTCHECK enum error group_create_with_contacts(struct db *db, struct arena *a, int64_t me, const char *name,
                                                const struct text *usernames, int n, struct conversation *out);

/* The following: ERR_CONVERSATION_NOT_FOUND, ERR_NOT_MEMBER, ERR_SYSTEM_ROOM for a direct one, and
 * ERR_NOT_OWNER to members where only the owner may. */

MUSTCHECK enum error group_rename(struct db *db, struct arena *a, int64_t me, const struct ref *group, const char *name,
                                  struct conversation *out);
MUSTCHECK enum error group_delete(struct db *db, int64_t me, const struct ref *group);

/* People who are in it already are left alone. ERR_USER_NOT_FOUND and *missing as above. */
MUSTCHECK enum error members_add(struct db *db, struct arena *a, int64_t me, const struct ref *group,
                                 const struct ref *people, int n, struct conversation *out, int *missing);
MUSTCHECK enum error members_add_contacts(struct db *db, struct arena *a, int64_t me, const struct ref *group,
                                          const struct text *usernames, int n, struct conversation *out);

/* The owner takes anybody out, others themselves (leave). ERR_OWNER_LEAVES; ERR_USER_NOT_FOUND when
 * it is no member. */
MUSTCHECK enum error member_remove(struct db *db, int64_t me, const struct ref *group, const struct ref *member);
MUSTCHECK enum error member_remove_by_name(struct db *db, int64_t me, const struct ref *group, const char *username);
/* The caller leaves; the owner may too, then the group passes to who has been in it longest, or ends with
 * the last one. */
MUSTCHECK enum error group_quit(struct db *db, int64_t me, const struct ref *group);

#endif
