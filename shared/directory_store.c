/* Looking people up. */
#include "shared/directory_store.h"

static void person_row(struct row *r, void *out)
{
    person_read(r, out);
}

enum error user_by_name(struct db *db, struct arena *a, const char *username, struct user *out)
{
    struct query q;
    query_init(&q, SQL_USER_BY_NAME);
    query_text(&q, username);
    return db_row(db, &q, a, person_row, out, ERR_USER_NOT_FOUND);
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
