/* The words are the operator's and ours: of what a stranger may choose only the username stands in
 * them (letters, digits and "_.-"), so nobody can have their own text mailed to somebody else. */
#include "courier/letter.h"

#include <string.h>

static void verification(const struct config *config, const struct mail *m, const char *token, struct arena *a,
                         struct letter *out)
{
    out->subject = "Please verify your email address";
    out->link = arena_printf(a, "%s/api/v1/auth/verify?token=%s", config->public_url, token);
    out->body = arena_printf(a,
                             "Hello %s,\n\n"
                             "with this address the account \"%s\" was registered at\n%s\n\n"
                             "To verify that the address is yours, open this link within three days:\n\n"
                             "%s\n\n"
                             "If you did not register, there is nothing to do.\n",
                             m->username, m->username, config->public_url, out->link);
}

static void reset(const struct config *config, const struct mail *m, const char *token, struct arena *a,
                  struct letter *out)
{
    const char *page = config->reset_url;
    out->subject = "Your new password";
    if (*page)
        out->link = arena_printf(a, "%s%stoken=%s", page, strchr(page, '?') ? "&" : "?", token);
    else
        out->link = arena_printf(a, "%s/api/v1/auth/password/reset?token=%s", config->public_url, token);
    /* The API's own address has no page: the password has to be posted to it. */
    const char *how = *page ? "open this link within an hour:\n\n" : "post it to this link within an hour:\n\n";
    const char *example = *page ? ""
                                : arena_printf(
                                      a,
                                      "\n\nfor example with\n\ncurl --data-urlencode 'password=YOUR NEW PASSWORD' '%s'",
                                      out->link);
    out->body = arena_printf(a,
                             "Hello %s,\n\n"
                             "somebody asked for a new password for the account \"%s\" at\n%s\n\n"
                             "To set one, %s%s%s\n\n"
                             "That ends all sessions of the account. If it was not you who asked, there is\n"
                             "nothing to do: the password stays as it is.\n",
                             m->username, m->username, config->public_url, how, out->link, example);
}

void letter_write(const struct config *config, const struct mail *m, const char *token, struct arena *a,
                  struct letter *out)
{
    if (!strcmp(m->kind, MAIL_RESET))
        reset(config, m, token, a, out);
    else
        verification(config, m, token, a, out);
}
