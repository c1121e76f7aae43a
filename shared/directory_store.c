/* Looking people up. */
#include "shared/directory_store.h"

enum error user_by_name(struct db *db, struct arena *a, const char *username, struct user *out)
{
    struct query q;
    PGresult *res;
    query_init(&q, SQL_USER_BY_NAME);
    query_text(&q, username);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    if (PQntuples(res)) {
        struct row r = row_at(res, 0, a);
        person_read(&r, out);
    } else {
        e = ERR_USER_NOT_FOUND;
    }
    PQclear(res);
    return e;
}

static void entry_read(struct row *r, void *out)
{
    struct directory_entry *entry = out;
    user_read(r, &entry->user);
    message_read(r, &entry->last);
}

enum error user_list(struct db *db, struct arena *a, int64_t me, int64_t after_id, int64_t limit, bool with_last,
                     struct directory_entry **out, int *count)
{
    struct query q;
    query_init(&q, SQL_USER_LIST);
    query_int(&q, me);
    query_int(&q, after_id);
    query_int(&q, limit);
    query_bool(&q, with_last);
    return db_list(db, &q, a, entry_read, sizeof **out, out, count);
}

enum error chat_list(struct db *db, struct arena *a, int64_t me, struct message **out, int *count)
{
    struct query q;
    query_init(&q, SQL_CHAT_LIST);
    query_int(&q, me);
    return db_list(db, &q, a, message_row, sizeof **out, out, count);
}

void addressee_query(struct query *q, int64_t id)
{
    query_init(q, SQL_ADDRESSEE);
    query_int(q, id);
}

enum error addressee_result(const PGresult *res, bool *is_group)
{
    struct row r = row_at(res, 0, NULL);
    bool person = row_bool(&r), group = row_bool(&r);
    if (!person && !group)
        return ERR_RECIPIENT_NOT_FOUND;
    *is_group = group;
    return OK;
}

enum error addressee(struct db *db, int64_t id, bool *is_group)
{
    struct query q;
    PGresult *res;
    addressee_query(&q, id);
    enum error e = db_run(db, &q, &res);
    if (e != OK)
        return e;
    e = addressee_result(res, is_group);
    PQclear(res);
    return e;
}
