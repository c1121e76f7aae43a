/* libcurl speaks; here is decided what its answer means. The connection is kept for the next mail. */
#include "courier/smtp.h"

#include "courier/reason.h"
#include "courier/stop.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_S = 30, KEEP_S = 30 };

struct smtp {
    CURL *curl;
    char *url;
    char error[CURL_ERROR_SIZE];
    struct text unread; /* of the message under way */
};

/* smtp://host with SMTP_TLS=tls is smtps://host. */
static char *server_url(const struct config *config)
{
    char *url = NULL;
    const char *given = config->smtp_url;
    bool upgrade = !strcmp(config->smtp_tls, "tls") && !strncmp(given, "smtp://", 7);
    if (asprintf(&url, "%s%s", upgrade ? "smtps://" : "", upgrade ? given + 7 : given) < 0)
        abort();
    return url;
}

static size_t read_message(char *to, size_t size, size_t n, void *from)
{
    struct smtp *s = from;
    size_t len = size * n < s->unread.len ? size * n : s->unread.len;
    memcpy(to, s->unread.s, len);
    s->unread.s += len;
    s->unread.len -= len;
    return len;
}

/* Asked to stop, it hangs up as long as the server cannot have the whole message; after that it has
 * to hear the answer. */
static int on_progress(void *of, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct smtp *s = of;
    (void)a, (void)b, (void)c, (void)d;
    return s->unread.len && stop_asked();
}

static void set_up(struct smtp *s, const struct config *config)
{
    CURL *c = s->curl;
    bool tls = strcmp(config->smtp_tls, "none") != 0;
    curl_easy_setopt(c, CURLOPT_URL, s->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USE_SSL, (long)(tls ? CURLUSESSL_ALL : CURLUSESSL_NONE));
    curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (*config->smtp_ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, config->smtp_ca_file);
    if (*config->smtp_user) {
        curl_easy_setopt(c, CURLOPT_USERNAME, config->smtp_user);
        curl_easy_setopt(c, CURLOPT_PASSWORD, config->smtp_password);
    }
    curl_easy_setopt(c, CURLOPT_TIMEOUT, (long)config->mail_timeout);
    curl_easy_setopt(c, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)config->mail_timeout);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, (long)KEEP_S);
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, read_message);
    curl_easy_setopt(c, CURLOPT_READDATA, s);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, s);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, s->error);
}

struct smtp *smtp_new(const struct config *config)
{
    struct smtp *s = calloc(1, sizeof *s);
    if (!s || curl_global_init(CURL_GLOBAL_DEFAULT) || !(s->curl = curl_easy_init())) {
        free(s);
        return NULL;
    }
    s->url = server_url(config);
    set_up(s, config);
    return s;
}

void smtp_free(struct smtp *s)
{
    if (!s)
        return;
    curl_easy_cleanup(s->curl);
    curl_global_cleanup();
    free(s->url);
    free(s);
}

/* A 5xx to sender, recipient or message is final (RFC 5321, 4.2.1). To anything before it is about us,
 * a wrong password or a server that wants TLS: for the operator to mend, so mail waits. */
static bool refused(const struct smtp *s, CURLcode code, long status)
{
    bool about_mail = code == CURLE_SEND_ERROR || (code == CURLE_WEIRD_SERVER_REPLY && !s->unread.len);
    return about_mail && status >= 500 && status < 600 && status != 530;
}

enum handover smtp_send(struct smtp *s, const char *from, const char *to, struct text message, char reason[REASON_TEXT])
{
    long status = 0;
    struct curl_slist *recipients = curl_slist_append(NULL, to);
    s->unread = message;
    s->error[0] = 0;
    curl_easy_setopt(s->curl, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, recipients);
    curl_easy_setopt(s->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)message.len);
    CURLcode code = curl_easy_perform(s->curl);
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_setopt(s->curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(recipients);
    if (code == CURLE_OK)
        return HANDOVER_ACCEPTED;
    int len;
    const char *why = reason_of_curl(code, s->error, &len);
    snprintf(reason, REASON_TEXT, "%.*s (last reply %ld)", len, why, status);
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return HANDOVER_STOPPED;
    return refused(s, code, status) ? HANDOVER_REFUSED : HANDOVER_DEFERRED;
}
