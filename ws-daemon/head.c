#include "ws-daemon/head.h"

#include <string.h>

void head_begin(struct head *h, struct lws *wsi, unsigned char *start, unsigned char *end, int status, const char *type,
                lws_filepos_t length)
{
    *h = (struct head){wsi, start, start, end, true};
    h->good = !lws_add_http_common_headers(wsi, (unsigned)status, type, length, &h->at, h->end);
}

void head_add(struct head *h, const char *name, const char *value)
{
    h->good = h->good && !lws_add_http_header_by_name(h->wsi, (const unsigned char *)name, (const unsigned char *)value,
                                                      (int)strlen(value), &h->at, h->end);
}

void head_add_refusal(struct head *h, int status, const char *challenge)
{
    if (*challenge)
        head_add(h, "www-authenticate:", challenge);
    if (status == 429 || status == 503)
        head_add(h, "retry-after:", "1");
}

bool head_send(struct head *h)
{
    return h->good && !lws_finalize_write_http_header(h->wsi, h->start, &h->at, h->end);
}
