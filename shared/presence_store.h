/* Who is online, over all daemons. Only daemons ask, so there are just the halves. Each statement
 * takes a whole set of users, and tells all daemons through NOTIFY who thereby came or went everywhere:
 * "presence on|off id id …". */
#ifndef PARLEY_PRESENCE_STORE_H
#define PARLEY_PRESENCE_STORE_H

#include "shared/store.h"

/* Seconds without a heartbeat after which a daemon is taken for dead. */
enum { PRESENCE_SILENCE = 20 };

/* A daemon comes. Its number is the one column of the one row. */
void daemon_register_query(struct query *q);
/* Every few seconds. No row: it was swept, or PostgreSQL crashed; register and bring everybody up. */
void daemon_heartbeat_query(struct query *q, int64_t daemon_id);
int64_t daemon_result(const PGresult *res); /* of both; 0: no row */
/* The daemon ends. Its users have so long to come back on another before they are swept. */
void daemon_leave_query(struct query *q, int64_t daemon_id, int grace_ms);

/* Users have their first socket here, or their last one is gone. */
void presence_up_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users, int n);
void presence_down_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users, int n);
/* Removes dead daemons and their users. */
void presence_sweep_query(struct query *q);

/* Everybody who is online: a user id a row. */
void presence_all_query(struct query *q);
int64_t presence_all_result(const PGresult *res, int i);

struct presence_row {
    int64_t viewer_id, user_id, created_at;
};
/* Which of the viewers share a conversation or a contact with which of the users. */
void presence_viewers_query(struct query *q, struct arena *a, const int64_t *users, int n, const int64_t *viewers,
                            int viewer_count);
/* The same pairs of each viewer with the next `most` who are online, behind the ids in after; sorted by both. */
void presence_people_query(struct query *q, struct arena *a, const int64_t *viewers, const int64_t *after, int n,
                           int most);
void presence_pairs_result(const PGresult *res, struct arena *a, struct presence_row **out, int *count);

#endif
