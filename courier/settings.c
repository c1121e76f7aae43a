#include "courier/settings.h"

#include "courier/sendmail.h"

#include <string.h>
#include <unistd.h>

enum { URL_MOST = 500 }; /* a line of mail is at most 998 characters */

static bool begins(const char *s, const char *with)
{
    return !strncmp(s, with, strlen(with));
}

/* Fit to stand in a mail, and in quotes on a command line. */
static bool web_address(const char *s)
{
    if ((!begins(s, "http://") && !begins(s, "https://")) || strlen(s) > URL_MOST)
        return false;
    for (; *s; s++)
        if (*s <= ' ' || *s > '~' || strchr("'\"<>\\", *s))
            return false;
    return true;
}

static bool tls_known(const char *s)
{
    return !strcmp(s, "starttls") || !strcmp(s, "tls") || !strcmp(s, "none");
}

static bool mail_server(const char *s)
{
    const char *host = begins(s, "smtp://") ? s + 7 : begins(s, "smtps://") ? s + 8 : "";
    return *host && !strpbrk(host, "@ \t?#"); /* SMTP_USER is the place for a name */
}

/* The command's program, when it is named by a path, has to be there. */
static bool command_runs(const char *command, struct arena *a)
{
    const char *program = sendmail_words(command, a)[0];
    return program && (*program != '/' || !access(program, X_OK));
}

bool settings_check(struct config *config, FILE *errors, struct arena *a, struct mailbox *from, struct reach *reach)
{
    const struct config *c = config;
    bool sends = *c->smtp_url || *c->sendmail;
    char *url = arena_strdup(a, c->public_url);
    for (size_t len = strlen(url); len && url[len - 1] == '/'; len--)
        url[len - 1] = 0;
    config->public_url = url;

    if (!web_address(c->public_url))
        fprintf(errors, "PUBLIC_URL has to be an http or https address, not \"%s\"\n", c->public_url);
    else if (*c->reset_url && !web_address(c->reset_url))
        fprintf(errors, "RESET_URL has to be an http or https address, not \"%s\"\n", c->reset_url);
    else if (!tls_known(c->smtp_tls))
        fprintf(errors, "SMTP_TLS has to be starttls, tls or none, not \"%s\"\n", c->smtp_tls);
    else if (*c->smtp_url && *c->sendmail)
        fprintf(errors, "SMTP_URL and SENDMAIL are both set; leave one of them empty\n");
    else if (*c->smtp_url && !mail_server(c->smtp_url))
        fprintf(errors, "SMTP_URL has to be smtp://host:port or smtps://host:port, not \"%s\"\n", c->smtp_url);
    else if (*c->sendmail && !command_runs(c->sendmail, a))
        fprintf(errors, "SENDMAIL names no program that can be run: \"%s\"\n", c->sendmail);
    else if (sends && !mailbox_parse(c->mail_from, a, from))
        fprintf(errors, "MAIL_FROM has to be an address or Name <address>, not \"%s\"\n", c->mail_from);
    else if (!reach_parse(c->callback_allow, reach))
        fprintf(errors, "CALLBACK_ALLOW has to be networks as in 127.0.0.1,10.0.0.0/8, not \"%s\"\n",
                c->callback_allow);
    else
        return true;
    return false;
}
