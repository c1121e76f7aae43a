/* Takes lists of hosts apart as libpq does: by commas, host, hostaddr and port side by side. What it cannot
 * make sense of is left to libpq, which says what is wrong. */
#include "shared/hosts.h"

#include <libpq-fe.h>
#include <stdlib.h>
#include <string.h>

static unsigned entries(const char *list)
{
    unsigned n = list && *list;
    for (; n && (list = strchr(list, ',')); list++)
        n++;
    return n;
}

/* The list from its turn-th entry on; NULL unless it has so many (one port is good for all hosts). */
static char *turned(const char *list, unsigned count, unsigned turn)
{
    const char *at = list;
    if (entries(list) != count)
        return NULL;
    char *out = malloc(strlen(list) + 1);
    if (!out)
        abort();
    for (unsigned i = 0; i < turn; i++)
        at = strchr(at, ',') + 1;
    size_t before = (size_t)(at - list);
    strcpy(out, at);
    if (before) {
        strcat(out, ",");
        strncat(out, list, before - 1);
    }
    return out;
}

/* The value of a parameter in what PQconninfoParse() made of a URL; NULL: it has none. */
static const char *value(const PQconninfoOption *parts, const char *keyword)
{
    for (; parts && parts->keyword; parts++)
        if (!strcmp(parts->keyword, keyword))
            return parts->val;
    return NULL;
}

static unsigned count_in(const PQconninfoOption *parts)
{
    const char *addresses = value(parts, "hostaddr");
    unsigned n = entries(addresses ? addresses : value(parts, "host"));
    return n ? n : 1;
}

unsigned hosts_count(const char *url)
{
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    unsigned n = count_in(parts);
    PQconninfoFree(parts);
    return n;
}

void hosts_init(struct hosts *h, const char *url, unsigned turn)
{
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    unsigned count = count_in(parts);
    *h = (struct hosts){0};
    if (count > 1) {
        h->host = turned(value(parts, "host"), count, turn % count);
        h->hostaddr = turned(value(parts, "hostaddr"), count, turn % count);
        h->port = turned(value(parts, "port"), count, turn % count);
    }
    PQconninfoFree(parts);
}

void hosts_release(struct hosts *h)
{
    free(h->host);
    free(h->hostaddr);
    free(h->port);
    *h = (struct hosts){0};
}
