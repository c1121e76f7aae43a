/* Two hashes. The cache of members is emptied when it grows past its bound: filling it again costs
 * one query for all the groups that are talking. */
#include "ws-daemon/hub.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { MEMBERS_MOST = 1000000 };

struct person {
    int64_t id;
    struct conn *conns;
    int count;
    UT_hash_handle hh;
};

struct group {
    int64_t id;
    int64_t *users;
    int count, size;
    UT_hash_handle hh;
};

struct hub {
    struct person *people;
    struct group *groups;
    int64_t members; /* of all groups together */
};

struct hub *hub_new(void)
{
    struct hub *h = calloc(1, sizeof *h);
    if (!h)
        abort();
    return h;
}

static void group_free(struct hub *h, struct group *g)
{
    h->members -= g->count;
    HASH_DEL(h->groups, g);
    free(g->users);
    free(g);
}

static void forget_all(struct hub *h)
{
    struct group *g, *next;
    HASH_ITER (hh, h->groups, g, next)
        group_free(h, g);
}

void hub_free(struct hub *h)
{
    struct person *p, *next;
    if (!h)
        return;
    forget_all(h);
    HASH_ITER (hh, h->people, p, next) {
        HASH_DEL(h->people, p);
        free(p);
    }
    free(h);
}

/* ---- people ---- */

static struct person *find_person(const struct hub *h, int64_t user_id)
{
    struct person *p;
    HASH_FIND(hh, h->people, &user_id, sizeof user_id, p);
    return p;
}

enum error hub_join(struct hub *h, struct conn *c, int most)
{
    struct person *p = find_person(h, c->me.user_id);
    if (p && p->count >= most)
        return ERR_TOO_MANY_SOCKETS;
    if (!p) {
        p = calloc(1, sizeof *p);
        if (!p)
            abort();
        p->id = c->me.user_id;
        HASH_ADD(hh, h->people, id, sizeof p->id, p);
    }
    DL_APPEND2(p->conns, c, user_prev, user_next);
    p->count++;
    return OK;
}

void hub_leave(struct hub *h, struct conn *c)
{
    struct person *p = find_person(h, c->me.user_id);
    if (!p || !c->user_prev)
        return;
    DL_DELETE2(p->conns, c, user_prev, user_next);
    c->user_prev = c->user_next = NULL;
    if (!--p->count) {
        HASH_DEL(h->people, p);
        free(p);
    }
}

struct conn *hub_user(const struct hub *h, int64_t user_id)
{
    struct person *p = find_person(h, user_id);
    return p ? p->conns : NULL;
}

/* ---- groups ---- */

static struct group *find_group(const struct hub *h, int64_t conversation_id)
{
    struct group *g;
    HASH_FIND(hh, h->groups, &conversation_id, sizeof conversation_id, g);
    return g;
}

bool hub_knows(const struct hub *h, int64_t conversation_id)
{
    return find_group(h, conversation_id) != NULL;
}

static void append(struct hub *h, struct group *g, int64_t user_id)
{
    if (g->count == g->size) {
        g->size = g->size ? g->size * 2 : 4;
        g->users = realloc(g->users, (size_t)g->size * sizeof *g->users);
        if (!g->users)
            abort();
    }
    g->users[g->count++] = user_id;
    h->members++;
}

void hub_trim(struct hub *h)
{
    if (h->members > MEMBERS_MOST)
        forget_all(h);
}

void hub_learn(struct hub *h, int64_t conversation_id, const int64_t *users, int count)
{
    hub_forget(h, conversation_id);
    struct group *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    g->id = conversation_id;
    HASH_ADD(hh, h->groups, id, sizeof g->id, g);
    for (int i = 0; i < count; i++)
        append(h, g, users[i]);
}

static int position(const struct group *g, int64_t user_id)
{
    for (int i = 0; i < g->count; i++)
        if (g->users[i] == user_id)
            return i;
    return -1;
}

void hub_member_added(struct hub *h, int64_t conversation_id, int64_t user_id)
{
    struct group *g = find_group(h, conversation_id);
    if (g && position(g, user_id) < 0)
        append(h, g, user_id);
}

void hub_member_removed(struct hub *h, int64_t conversation_id, int64_t user_id)
{
    struct group *g = find_group(h, conversation_id);
    int i = g ? position(g, user_id) : -1;
    if (i < 0)
        return;
    g->users[i] = g->users[--g->count];
    h->members--;
}

void hub_forget(struct hub *h, int64_t conversation_id)
{
    struct group *g = find_group(h, conversation_id);
    if (g)
        group_free(h, g);
}

const int64_t *hub_members(const struct hub *h, int64_t conversation_id, int *count)
{
    struct group *g = find_group(h, conversation_id);
    *count = g ? g->count : 0;
    return g ? g->users : NULL;
}
