/* The table of commands. One line each: name, arguments (least and most), what it needs, function, a
 * sentence; options stand above. Commands with a common first word stand together. The man page,
 * docs/man/parleyctl.1, explains the same commands and options; a test compares them. */
#include "ctl/commands.h"

#include "ctl/command.h"

/* clang-format off */
#define OUTPUT {"output", "FILE", "write there instead of to standard output; mode 0600, and only when all of it is there"}
#define LIST_LIMIT {"limit", "N", "at most so many"}
#define LIST_AFTER {"after", "ID", "only those with a higher id"}

static const struct option add_options[] = {
    {"email", "ADDRESS", "e-mail address"},
    {"display-name", "NAME", "how the user is shown; default the user name"},
    {"admin", NULL, "make an administrator of them"},
    {0},
};
static const struct option list_options[] = {LIST_AFTER, LIST_LIMIT, {0}};
static const struct option promote_options[] = {{"undo", NULL, "take it back"}, {0}};
static const struct option delete_options[] = {
    {"messages", NULL, "erase what they wrote, too; otherwise it is shown as a deleted user's"},
    {"yes", NULL, "do not ask"},
    {0},
};
static const struct option output_options[] = {OUTPUT, {0}};
static const struct option token_list_options[] = {LIST_LIMIT, {0}};
static const struct option token_options[] = {
    {"label", "TEXT", "what it is for; needed"},
    {"scope", "WORDS", "what it is good for: read, send, admin, or several, as in read,send; default read"},
    {"conversation", "ID", "only good for this conversation, which the user has to be in"},
    {"expires", "DAYS", "ends after so many days; default never"},
    {0},
};
static const struct option session_options[] = {
    {"dialect", "NAME", "the API it is for: dm, conv, p2p, rooms or groups; default conv"},
    {"ttl", "SECONDS", "how long it is good; default ACCESS_TTL"},
    {0},
};
static const struct option session_list_options[] = {{"all", NULL, "ended and expired ones too"}, LIST_LIMIT, {0}};
static const struct option session_revoke_options[] = {{"user", "USER", "all sessions of a user, and the tokens of their scripts"}, {0}};
static const struct option conversation_options[] = {
    {"user", "USER", "only those this user is in"}, LIST_AFTER, LIST_LIMIT, {0}};
static const struct option show_options[] = {{"messages", "N", "the last N messages, too"}, {0}};
static const struct option migrate_options[] = {{"scripts", "DIRECTORY", "where migrate.sh and the migrations are"}, {0}};
static const struct option doctor_options[] = {
    {"hold", "SECONDS", "also keep a socket open and silent for so long; 65 outlives the usual timeouts"},
    {"log", "FILE", "nginx's access log, where it is not found by itself"},
    {"cacert", "FILE", "certificates that vouch for the server, instead of the system's"},
    {"min-disk", "MB", "free space a disk should have; default 1024"},
    {0},
};

const struct command commands[] = {
    {"migrate", "", 0, 0, NEEDS_SETTINGS, cmd_migrate, "Brings the database to the schema of these programs.", migrate_options},

    {"user add", "USERNAME", 1, 1, NEEDS_DATABASE, cmd_user_add, "Adds a user; asks for the password, or reads it from standard input.", add_options},
    {"user list", "[TEXT]", 0, 1, NEEDS_DATABASE, cmd_user_list, "Lists users, or those with TEXT in their name or address.", list_options},
    {"user disable", "USER", 1, 1, NEEDS_DATABASE, cmd_user_disable, "Locks a user out, and ends their sessions and sockets.", NULL},
    {"user enable", "USER", 1, 1, NEEDS_DATABASE, cmd_user_enable, "Lets a disabled user in again.", NULL},
    {"user passwd", "USER", 1, 1, NEEDS_DATABASE, cmd_user_passwd, "Sets a password, and ends the user's sessions.", NULL},
    {"user promote", "USER", 1, 1, NEEDS_DATABASE, cmd_user_promote, "Makes a user an administrator.", promote_options},
    {"user delete", "USER", 1, 1, NEEDS_DATABASE, cmd_user_delete, "Erases a user and all that is stored of them.", delete_options},
    {"user export", "USER", 1, 1, NEEDS_DATABASE, cmd_user_export, "Writes all that is stored of a user, as JSON.", output_options},

    {"token list", "[USER]", 0, 1, NEEDS_DATABASE, cmd_token_list, "Lists the tokens of scripts, of all users or one.", token_list_options},
    {"token create", "USER", 1, 1, NEEDS_DATABASE, cmd_token_create, "Makes a token for a user's script and prints it, this once.", token_options},
    {"token revoke", "TOKEN", 1, 1, NEEDS_DATABASE, cmd_token_revoke, "Ends a script's token.", NULL},

    {"session list", "[USER]", 0, 1, NEEDS_DATABASE, cmd_session_list, "Lists open sessions, of all users or one.", session_list_options},
    {"session create", "USER", 1, 1, NEEDS_DATABASE, cmd_session_create, "Signs a user in and prints the access token.", session_options},
    {"session revoke", "[SESSION]", 0, 1, NEEDS_DATABASE, cmd_session_revoke, "Ends a session, or all of a user.", session_revoke_options},

    {"key list", "", 0, 0, NEEDS_SETTINGS, cmd_key_list, "Lists the signing keys, the one that signs first.", NULL},
    {"key rotate", "", 0, 0, NEEDS_SETTINGS, cmd_key_rotate, "Makes a key and signs with it; older ones go on verifying.", NULL},
    {"key add", "", 0, 0, NEEDS_SETTINGS, cmd_key_add, "Makes a key that only verifies: the first half of a rotation.", NULL},
    {"key use", "KID", 1, 1, NEEDS_SETTINGS, cmd_key_use, "Signs with this key from now on: the second half.", NULL},
    {"key remove", "KID", 1, 1, NEEDS_SETTINGS, cmd_key_remove, "Removes a key; what it signed is refused from now on.", NULL},

    {"conversation list", "", 0, 0, NEEDS_DATABASE, cmd_conversation_list, "Lists conversations.", conversation_options},
    {"conversation show", "CONVERSATION", 1, 1, NEEDS_DATABASE, cmd_conversation_show, "Shows a conversation and its members.", show_options},
    {"conversation retention", "CONVERSATION [DAYS]", 1, 2, NEEDS_DATABASE, cmd_conversation_retention, "Shows, or sets, how many days a conversation's messages are kept: a number, forever, or default.", NULL},
    {"stats", "", 0, 0, NEEDS_DATABASE, cmd_stats, "Counts users, sessions, conversations, messages and more.", NULL},

    {"export", "", 0, 0, NEEDS_DATABASE, cmd_export, "Writes the whole server as JSON lines.", output_options},
    {"import", "[FILE]", 0, 1, NEEDS_DATABASE, cmd_import, "Reads such lines into an empty database.", NULL},
    {"backup verify", "BACKUP", 1, 1, NEEDS_SETTINGS, cmd_backup_verify, "Restores what pg_dump wrote into a database of its own, and looks for gaps.", NULL},

    {"config check", "", 0, 0, NEEDS_SETTINGS, cmd_config_check, "Says whether the programs can start with these settings.", NULL},
    {"config show", "", 0, 0, NEEDS_SETTINGS, cmd_config_show, "Shows the settings, with secrets hidden.", NULL},
    {"doctor", "[URL]", 0, 1, NEEDS_SETTINGS, cmd_doctor, "Goes through the live server as a client would, and says what is wrong.", doctor_options},
    {"completion", "", 0, 0, NEEDS_NOTHING, cmd_completion, "Prints a script that makes bash complete these commands.", NULL},
    {0},
};
