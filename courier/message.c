#include "courier/message.h"

#include "shared/validate.h"

#include <openssl/evp.h>
#include <string.h>
#include <time.h>

enum {
    WORD = 42, /* bytes in an encoded word (RFC 2047: a line with one has at most 76 characters) */
    LINE = 57, /* bytes in a line of base64 (RFC 2045: at most 76 characters) */
    NAME_MOST = 200
};

static bool one_line(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            return false;
    return true;
}

static bool ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s > 127)
            return false;
    return true;
}

/* ---- mailboxes ---- */

static bool address_valid(const char *s)
{
    return validate_email((struct text){s, strlen(s)}) == OK;
}

bool mailbox_parse(const char *text, struct arena *a, struct mailbox *out)
{
    size_t len = strlen(text);
    const char *open = strrchr(text, '<');
    if (!one_line(text) || !utf8_valid(text, len))
        return false;
    if (!open) {
        *out = (struct mailbox){"", arena_strdup(a, text)};
        return address_valid(text);
    }
    if (text[len - 1] != '>')
        return false;
    size_t name_len = (size_t)(open - text);
    while (name_len && text[name_len - 1] == ' ')
        name_len--;
    *out = (struct mailbox){arena_strndup(a, text, name_len),
                            arena_strndup(a, open + 1, len - (size_t)(open + 1 - text) - 1)};
    return name_len <= NAME_MOST && address_valid(out->address);
}

static const char *base64(const char *s, size_t len, struct arena *a)
{
    char *out = arena_alloc(a, 4 * (len / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)s, (int)len);
    return out;
}

/* A display name as a header may hold it: quoted, or as encoded words on lines of their own. */
static const char *phrase(const char *name, struct arena *a)
{
    const char *out = "";
    if (!ascii(name)) {
        for (size_t left = strlen(name), len; left; left -= len, name += len) {
            len = utf8_cut(name, WORD);
            out = arena_printf(a, "%s%s=?utf-8?B?%s?=", out, *out ? "\n " : "", base64(name, len, a));
        }
        return out;
    }
    for (; *name; name++)
        out = arena_printf(a, "%s%s%c", out, strchr("\"\\", *name) ? "\\" : "", *name);
    return arena_printf(a, "\"%s\"", out);
}

static const char *mailbox_text(const struct mailbox *m, struct arena *a)
{
    if (!*m->name)
        return m->address;
    return arena_printf(a, "%s%s <%s>", phrase(m->name, a), ascii(m->name) ? "" : "\n", m->address);
}

/* ---- the message ---- */

static const char *date_text(int64_t us, struct arena *a)
{
    char text[64];
    struct tm tm;
    time_t seconds = (time_t)(us / 1000000);
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S +0000", &tm);
    return arena_strdup(a, text);
}

static const char *base64_lines(const char *s, struct arena *a)
{
    const char *out = "";
    for (size_t left = strlen(s), len; left; left -= len, s += len) {
        len = left < LINE ? left : LINE;
        out = arena_printf(a, "%s%s\n", out, base64(s, len, a));
    }
    return out;
}

bool message_render(const struct envelope *e, const struct letter *l, struct arena *a, struct text *out)
{
    if (!one_line(e->from.name) || !address_valid(e->from.address) || !address_valid(e->to) || !one_line(l->subject) ||
        !ascii(l->subject))
        return false;
    bool plain = ascii(l->body);
    const char *text = arena_printf(a,
                                    "Date: %s\n"
                                    "From: %s\n"
                                    "To: %s\n"
                                    "Subject: %s\n"
                                    "Message-ID: <mail.%lld.%lld%s>\n"
                                    "Auto-Submitted: auto-generated\n"
                                    "MIME-Version: 1.0\n"
                                    "Content-Type: text/plain; charset=utf-8\n"
                                    "Content-Transfer-Encoding: %s\n"
                                    "\n"
                                    "%s",
                                    date_text(e->date, a), mailbox_text(&e->from, a), e->to, l->subject,
                                    (long long)e->id, (long long)e->date, strrchr(e->from.address, '@'),
                                    plain ? "7bit" : "base64", plain ? l->body : base64_lines(l->body, a));
    *out = (struct text){text, strlen(text)};
    return true;
}

struct text message_crlf(struct text message, struct arena *a)
{
    char *out = arena_alloc(a, 2 * message.len + 1), *at = out;
    for (size_t i = 0; i < message.len; i++) {
        if (message.s[i] == '\n')
            *at++ = '\r';
        *at++ = message.s[i];
    }
    return (struct text){out, (size_t)(at - out)};
}
