/* Who is online, over all daemons. Only daemons ask, so there are just the halves. Each statement
 * takes a whole set of users, and tells each coming and going to one daemon only. */
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

/* Users have their first socket here, or their last one is gone. Result: who came online, or went
 * offline, everywhere. */
void presence_up_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users, int n);
void presence_down_query(struct query *q, struct arena *a, int64_t daemon_id, const int64_t *users,
                         int n);
/* The daemon ends. Result: who went offline. */
void presence_end_query(struct query *q, int64_t daemon_id);
/* Removes dead daemons. Result: who went offline. */
void presence_sweep_query(struct query *q);

struct presence_row {
    int64_t user_id, created_at;
    int64_t viewer_id; /* 0 where there is none */
};
void presence_users_result(const PGresult *res, struct arena *a, struct presence_row **out, int *count);

/* Which of the viewers share a conversation or a contact with which of the users. */
void presence_viewers_query(struct query *q, struct arena *a, const int64_t *users, int n,
                            const int64_t *viewers, int viewer_count);
/* The same pairs of each viewer with everybody who is online. */
void presence_people_query(struct query *q, struct arena *a, const int64_t *viewers, int n);
void presence_pairs_result(const PGresult *res, struct arena *a, struct presence_row **out, int *count);

#endif
