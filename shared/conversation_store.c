/* Conversations and who is in them. */
#include "shared/conversation_store.h"

#include "shared/outcome.h"

#include <string.h>

const char *conversation_kind_name(enum conversation_kind kind)
{
    return kind == KIND_DIRECT ? "direct" : kind == KIND_GROUP ? "group" : NULL;
}

/* ---- reading ---- */

/* The columns up to the participant's. */
enum { HEAD_ID = 1, HEAD_COLUMNS = 10 };

static bool head_read(struct row *r, struct conversation *out)
{
    bool member = row_bool(r);
    *out = (struct conversation){0};
    out->id = row_int(r);
    out->is_group = row_bool(r);
    out->name = row_text(r);
    out->owner_id = row_int(r);
    out->owner_created_at = row_time(r);
    out->last_seq = row_int(r);
    out->created_at = row_time(r);
    out->updated_at = row_time(r);
    out->unread = row_int(r);
    return member;
}

static void participant_read(struct row *r, struct participant *out)
{
    person_read(r, &out->user);
    out->role = row_text(r);
    out->joined_at = row_time(r);
    out->delivered_seq = row_int(r);
    out->delivered_at = row_time(r);
    out->read_seq = row_int(r);
    out->read_at = row_time(r);
}

/* The conversation whose rows begin at `first`; answers how many they are. */
static int conversation_read(const PGresult *res, int first, struct arena *a, struct conversation *out, bool *member)
{
    struct row r = row_at(res, first, a);
    struct message last;
    int rows = 1;
    *member = head_read(&r, out);
    if (!*member)
        return rows;
    for (; first + rows < PQntuples(res); rows++) {
        struct row next = row_at(res, first + rows, NULL);
        next.column = HEAD_ID;
        if (row_int(&next) != out->id)
            break;
    }
    out->people_count = rows;
    out->people = arena_alloc(a, (size_t)rows * sizeof *out->people);
    for (int i = 0; i < rows; i++) {
        struct row p = row_at(res, first + i, a);
        p.column = HEAD_COLUMNS;
        participant_read(&p, &out->people[i]);
        if (i)
            continue;
        message_read(&p, &last);
        if (last.id) {
            out->last = arena_alloc(a, sizeof last);
            *out->last = last;
        }
    }
    return rows;
}

enum error conversation_list(struct db *db, struct arena *a, int64_t me, enum conversation_kind kind, bool count_unread,
                             struct conversation **out, int *count)
{
    struct query q;
    PGresult *res;
    bool member;
    query_init(&q, SQL_CONVERSATION_LIST);
    query_int(&q, me);
    query_text(&q, conversation_kind_name(kind));
    query_bool(&q, count_unread);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    *out = arena_alloc(a, (size_t)PQntuples(res) * sizeof **out);
    *count = 0;
    for (int row = 0; row < PQntuples(res);)
        row += conversation_read(res, row, a, &(*out)[(*count)++], &member);
    PQclear(res);
    return OK;
}

enum error conversation_get(struct db *db, struct arena *a, int64_t me, const struct ref *ref,
                            enum conversation_kind kind, struct conversation *out)
{
    struct query q;
    PGresult *res;
    struct conversation found;
    bool member = false;
    query_init(&q, SQL_CONVERSATION_GET);
    query_int(&q, me);
    query_text(&q, conversation_kind_name(kind));
    query_bool(&q, true);
    query_ref(&q, ref);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    if (!PQntuples(res))
        e = ERR_CONVERSATION_NOT_FOUND;
    else if (conversation_read(res, 0, a, &found, &member), !member)
        e = ERR_NOT_MEMBER;
    else
        *out = found;
    PQclear(res);
    return e;
}

/* ---- changing ---- */

/* Runs a function that answers an outcome, and what else its row has: a conversation's id, and
 * which user was missing. NULL where it has none, or nobody asks. */
static enum error change(struct db *db, struct arena *a, const struct query *q, bool *created, int64_t *id,
                         int *missing)
{
    PGresult *res;
    enum error e = db_run(db, q, &res);
    if (e != OK)
        return e;
    struct row r = row_at(res, 0, a);
    const char *outcome = row_text(&r);
    e = outcome_error(outcome);
    if (created)
        *created = outcome && !strcmp(outcome, "created");
    if (id)
        *id = row_int(&r);
    if (missing)
        *missing = (int)row_int(&r) - 1;
    PQclear(res);
    return e;
}

/* The conversation after a change that went well, when it is wanted. */
static enum error shown(struct db *db, struct arena *a, int64_t me, const struct ref *ref, enum error e,
                        struct conversation *out)
{
    return e == OK && out ? conversation_get(db, a, me, ref, KIND_ANY, out) : e;
}

enum error direct_start(struct db *db, struct arena *a, int64_t me, const struct ref *peer, struct conversation *out,
                        bool *created)
{
    struct query q;
    struct ref made = {.ms = -1};
    query_init(&q, SQL_DIRECT_START);
    query_int(&q, me);
    query_ref(&q, peer);
    return shown(db, a, me, &made, change(db, a, &q, created, &made.id, NULL), out);
}

enum error group_create(struct db *db, struct arena *a, int64_t me, const char *name, const struct ref *people, int n,
                        struct conversation *out, int *missing)
{
    struct query q;
    struct ref made = {.ms = -1};
    query_init(&q, SQL_GROUP_CREATE);
    query_int(&q, me);
    query_text(&q, name);
    query_refs(&q, a, people, n);
    return shown(db, a, me, &made, change(db, a, &q, NULL, &made.id, missing), out);
}

enum error group_create_with_contacts(struct db *db, struct arena *a, int64_t me, const char *name,
                                      const struct text *usernames, int n, struct conversation *out)
{
    struct query q;
    struct ref made = {.ms = -1};
    query_init(&q, SQL_GROUP_CREATE_WITH_CONTACTS);
    query_int(&q, me);
    query_text(&q, name);
    query_texts(&q, a, usernames, n);
    return shown(db, a, me, &made, change(db, a, &q, NULL, &made.id, NULL), out);
}

/* The parameters all changes of a conversation begin with. */
static void group_query(struct query *q, enum sql sql, const struct ref *group, int64_t me)
{
    query_init(q, sql);
    query_ref(q, group);
    query_int(q, me);
}

enum error group_rename(struct db *db, struct arena *a, int64_t me, const struct ref *group, const char *name,
                        struct conversation *out)
{
    struct query q;
    group_query(&q, SQL_GROUP_RENAME, group, me);
    query_text(&q, name);
    return shown(db, a, me, group, change(db, a, &q, NULL, NULL, NULL), out);
}

enum error group_delete(struct db *db, int64_t me, const struct ref *group)
{
    struct query q;
    group_query(&q, SQL_GROUP_DELETE, group, me);
    return outcome_run(db, &q);
}

enum error members_add(struct db *db, struct arena *a, int64_t me, const struct ref *group, const struct ref *people,
                       int n, struct conversation *out, int *missing)
{
    struct query q;
    group_query(&q, SQL_MEMBERS_ADD, group, me);
    query_refs(&q, a, people, n);
    return shown(db, a, me, group, change(db, a, &q, NULL, NULL, missing), out);
}

enum error members_add_contacts(struct db *db, struct arena *a, int64_t me, const struct ref *group,
                                const struct text *usernames, int n, struct conversation *out)
{
    struct query q;
    group_query(&q, SQL_MEMBERS_ADD_CONTACTS, group, me);
    query_texts(&q, a, usernames, n);
    return shown(db, a, me, group, change(db, a, &q, NULL, NULL, NULL), out);
}

enum error member_remove(struct db *db, int64_t me, const struct ref *group, const struct ref *member)
{
    struct query q;
    group_query(&q, SQL_MEMBER_REMOVE, group, me);
    query_ref(&q, member);
    query_null(&q);
    return outcome_run(db, &q);
}

enum error member_remove_by_name(struct db *db, int64_t me, const struct ref *group, const char *username)
{
    struct query q;
    group_query(&q, SQL_MEMBER_REMOVE, group, me);
    query_ref(&q, NULL);
    query_text(&q, username);
    return outcome_run(db, &q);
}

enum error group_quit(struct db *db, int64_t me, const struct ref *group)
{
    struct query q;
    group_query(&q, SQL_GROUP_QUIT, group, me);
    return outcome_run(db, &q);
}
