/* One delivery to a callback: a signed POST, through libcurl. */
#ifndef PARLEY_COURIER_POST_H
#define PARLEY_COURIER_POST_H

#include "courier/handover.h"
#include "courier/reach.h"
#include "shared/callback_store.h"
#include "shared/config.h"

#include <curl/curl.h>

/* A POST under way. */
struct post {
    struct arena arena; /* of what follows */
    struct callback_post delivery;
    CURL *curl;
    struct curl_slist *headers;
    struct json_object *body;
    const struct reach *reach;
    size_t answered;  /* bytes of the answer, which nobody reads */
    bool unreachable; /* an address was refused */
    char error[CURL_ERROR_SIZE];
};

/* The signature of Standard Webhooks: base64 of HMAC-SHA-256 over id.timestamp.body. out has room for
 * SIGNATURE_TEXT bytes. */
enum { SIGNATURE_TEXT = 48 };
void post_sign(struct text secret, const char *id, int64_t timestamp, const char *body, char out[SIGNATURE_TEXT]);

/* Gets a claimed delivery ready; the arena it lives in becomes the post's. For curl_multi; its private
 * pointer is the post. */
struct post *post_new(const struct config *config, const struct reach *reach, struct arena *take,
                      const struct callback_post *delivery);
void post_free(struct post *p);

/* How it ended: HTTP status (0: no answer) and a reason ("" with 2xx). */
int64_t post_outcome(struct post *p, CURLcode code, char reason[REASON_TEXT]);

#endif
