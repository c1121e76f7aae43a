/* Every setting of every program: one table of key, type, default, range and help. A setting comes
 * from the environment or from the KEY=value file named by --config; the environment wins. */
#ifndef PARLEY_CONFIG_H
#define PARLEY_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

/* clang-format off */
/* TEXT(field, KEY, default, help)  INT(field, KEY, default, least, most, help) */
#define CONFIG_TABLE(TEXT, INT)                                                                    \
    TEXT(database_url, DATABASE_URL, "dbname=parley", "libpq conninfo or URI of the database")     \
    TEXT(listen_database_url, LISTEN_DATABASE_URL, "",                                             \
         "the same for LISTEN, past any pooler; empty: DATABASE_URL")                              \
    TEXT(fcgi_listen, FCGI_LISTEN, "",                                                             \
         "Unix socket path or :port the pool listens on; empty: the socket on descriptor 0, or CGI") \
    INT(fcgi_workers, FCGI_WORKERS, 4, 1, 256, "worker processes of the pool")                     \
    TEXT(ws_listen, WS_LISTEN, "/run/parley/ws.sock",                                              \
         "Unix socket path or :port the socket daemon listens on")                                 \
    TEXT(metrics_listen, METRICS_LISTEN, "",                                                       \
         "where this service answers /healthz, /readyz and /metrics, as in 127.0.0.1:9461; empty: nowhere") \
    TEXT(key_file, KEY_FILE, "/etc/parley/keys",                                                   \
         "signing keys, one `kid secret` a line; the first signs, all verify; made if missing")    \
    TEXT(issuer, ISSUER, "parley", "`iss` claim of the tokens")                                    \
    INT(bcrypt_cost, BCRYPT_COST, 12, 4, 17, "bcrypt cost of new passwords")                       \
    INT(access_ttl, ACCESS_TTL, 3600, 10, 31536000, "seconds an access token of /api lives")       \
    INT(access_ttl_v1, ACCESS_TTL_V1, 691200, 10, 31536000,                                        \
        "seconds an access token of /v1 lives (no refresh there)")                                 \
    INT(refresh_ttl, REFRESH_TTL, 2592000, 60, 31536000, "seconds a refresh token lives")          \
    INT(message_max, MESSAGE_MAX, 16384, 1, 1048576, "bytes of a message's content at most")       \
    INT(body_max, BODY_MAX, 1048576, 1024, 67108864, "bytes of a request body at most")            \
    INT(login_tries, LOGIN_TRIES, 5, 1, 1000000,                                                   \
        "wrong passwords for a name before the next try has to wait")                              \
    INT(login_tries_address, LOGIN_TRIES_ADDRESS, 50, 1, 1000000,                                  \
        "the same by the client's address, for names that never logged in from there")             \
    INT(login_delay, LOGIN_DELAY, 300, 1, 3600,                                                    \
        "seconds it waits at most, doubling from one; in as many, one wrong password is forgiven") \
    TEXT(cors_origins, CORS_ORIGINS, "",                                                           \
         "origins whose pages may call the API and open sockets, comma-separated; `*`: all; "      \
         "`localhost`: every origin on this machine")                                              \
    INT(socket_rate, SOCKET_RATE, 50, 1, 100000, "frames per second a socket may send on average") \
    INT(socket_burst, SOCKET_BURST, 200, 1, 100000, "frames it may send at once")                  \
    INT(presence_debounce, PRESENCE_DEBOUNCE, 2000, 0, 60000,                                      \
        "milliseconds a user may be without a socket and still count as online")                   \
    INT(sockets_per_user, SOCKETS_PER_USER, 100, 1, 100000, "sockets of one user on a daemon")     \
    INT(sockets_per_address, SOCKETS_PER_ADDRESS, 10000, 1, 1000000,                               \
        "sockets from one client address (of IPv6: from one /64) on a daemon")                     \
    INT(outbox_max, OUTBOX_MAX, 1048576, 65536, 1073741824,                                        \
        "bytes waiting for one socket before it is closed with 4008")                              \
    INT(outbox_total, OUTBOX_TOTAL, 268435456, 1048576, 2147483647,                                \
        "bytes waiting for all sockets of a daemon before the one with most is closed with 4008")  \
    INT(messages_keep, MESSAGES_KEEP, 0, 0, 36500,                                                 \
        "days messages are kept, where a conversation has no rule of its own; 0: for ever")        \
    INT(events_keep, EVENTS_KEEP, 30, 1, 36500,                                                    \
        "days events are kept; cursors older than that have expired")                              \
    INT(audit_keep, AUDIT_KEEP, 0, 0, 36500, "days the audit log is kept; 0: for ever")            \
    INT(statement_timeout, STATEMENT_TIMEOUT, 5000, 100, 600000, "milliseconds a statement may take") \
    INT(lock_timeout, LOCK_TIMEOUT, 3000, 100, 600000, "milliseconds it may wait for a lock")      \
    INT(webhook_rate, WEBHOOK_RATE, 60, 1, 100000,                                                 \
        "messages an incoming webhook may leave a minute, and at once")                            \
    TEXT(public_url, PUBLIC_URL, "http://127.0.0.1:8080",                                          \
         "where people reach this server; the links in mails begin with it")                       \
    TEXT(reset_url, RESET_URL, "",                                                                 \
         "your page that asks for a new password, for the link in the mail; empty: the API's own address")\
    TEXT(smtp_url, SMTP_URL, "",                                                                   \
         "mail server, as in `smtp://host:587`; with neither this nor SENDMAIL, links go to the courier's log")\
    TEXT(smtp_tls, SMTP_TLS, "starttls",                                                           \
         "`starttls`, `tls` (from the first byte, as smtps:// means too) or `none`")               \
    TEXT(smtp_user, SMTP_USER, "", "name to log in with at the mail server; empty: no login")      \
    TEXT(smtp_password, SMTP_PASSWORD, "", "its password")                                         \
    TEXT(smtp_ca_file, SMTP_CA_FILE, "",                                                           \
         "certificates of who may vouch for the mail server; empty: the system's")                 \
    TEXT(sendmail, SENDMAIL, "",                                                                   \
         "instead of SMTP_URL: a command that takes mail on standard input, as in `/usr/sbin/sendmail -t -i`")\
    TEXT(mail_from, MAIL_FROM, "",                                                                 \
         "sender of mails, `Name <address>` or an address; required with SMTP_URL or SENDMAIL")    \
    INT(mail_timeout, MAIL_TIMEOUT, 60, 1, 3600, "seconds the delivery of one mail may take")      \
    INT(mail_retry, MAIL_RETRY, 30, 1, 3600,                                                       \
        "seconds until a mail is tried again, doubling up to an hour")                             \
    INT(callback_timeout, CALLBACK_TIMEOUT, 10, 1, 300, "seconds a callback's receiver may take to answer") \
    INT(callback_retry, CALLBACK_RETRY, 10, 1, 3600,                                               \
        "seconds until a callback that failed is tried again, doubling up to an hour")             \
    INT(callback_give_up, CALLBACK_GIVE_UP, 86400, 1, 2592000, "seconds it is tried before it is a dead letter") \
    INT(callback_days, CALLBACK_DAYS, 5, 1, 365,                                                   \
        "days after which a callback that has only failed is disabled")                            \
    TEXT(callback_allow, CALLBACK_ALLOW, "",                                                       \
         "networks callbacks may reach although they are not public, as in `127.0.0.1,10.0.0.0/8,fd00::/8`") \
    TEXT(log_format, LOG_FORMAT, "kv",                                                             \
         "`kv` or `json`; nginx writes its access log as nginx.conf says")                         \
    TEXT(log_level, LOG_LEVEL, "info", "`debug`, `info`, `notice`, `warn` or `error`")
/* clang-format on */

struct config {
#define TEXT(field, key, def, help)             const char *field;
#define INT(field, key, def, least, most, help) int field;
    CONFIG_TABLE(TEXT, INT)
#undef TEXT
#undef INT
};

/* What main() is to do after the command line and the settings were read. */
enum config_result { CONFIG_OK, CONFIG_EXIT, CONFIG_BAD };

/* Reads the command line (--config FILE, --help, --version; --check-sql sets *check_sql), the file
 * and the environment, and sets up the log. The strings in *out live as long as the process.
 * CONFIG_EXIT: --help or --version was answered; CONFIG_BAD: a sentence that names the unknown or
 * invalid setting was printed, exit with EX_CONFIG. */
enum config_result config_load(const char *program, int argc, char **argv, struct config *out, bool *check_sql);

/* Reads the file of config_load() again, for SIGHUP: every number but FCGI_WORKERS, and LOG_LEVEL, which
 * takes effect; other texts stay as they are. Logs that it did, or what is wrong: then all stays. */
void config_reload(struct config *c);

/* For tests: reads one KEY=value file's text. False after printing what is wrong to errors. */
bool config_read_file(FILE *in, const char *name, FILE *errors, struct config *out);

/* The table as --help prints it. */
void config_help(FILE *out, const char *program);

#endif
