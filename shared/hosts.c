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

void hosts_init(struct hosts *h, const char *url, unsigned turn)
{
    const char *host = NULL, *hostaddr = NULL, *port = NULL;
    PQconninfoOption *parts = PQconninfoParse(url, NULL);
    *h = (struct hosts){0};
    for (PQconninfoOption *p = parts; p && p->keyword; p++) {
        host = strcmp(p->keyword, "host") ? host : p->val;
        hostaddr = strcmp(p->keyword, "hostaddr") ? hostaddr : p->val;
        port = strcmp(p->keyword, "port") ? port : p->val;
    }
    unsigned count = entries(hostaddr ? hostaddr : host);
    if (count > 1) {
        h->host = turned(host, count, turn % count);
        h->hostaddr = turned(hostaddr, count, turn % count);
        h->port = turned(port, count, turn % count);
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
