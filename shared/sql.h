/* Every SQL statement of the C code, by name. The texts, with their parameters and columns, are in
 * sql.c, sql_people.c, sql_mail.c and sql_door.c; --check-sql and a test prepare them all against the migrated schema. */
#ifndef PARLEY_SQL_H
#define PARLEY_SQL_H

/* Most rows that SQL_FEED answers. */
#define FEED_BATCH 500

enum sql {
    SQL_SCHEMA_VERSION,
    SQL_CONNECTIONS,
    SQL_WAKE,
    SQL_SAY,
    SQL_LISTEN,
    SQL_REVOKED,
    SQL_ACCOUNT_CREATE,
    SQL_USER_BY_ID,
    SQL_SESSION_USER,
    SQL_MESSAGE_SEND,
    SQL_MESSAGE_BY_ID,
    SQL_DIRECT_HISTORY,
    SQL_DIRECT_LIST,
    SQL_FEED_START,
    SQL_FEED,
    SQL_REPLAY,
    SQL_MEMBERS,
    SQL_MEMBERSHIP,
    SQL_TYPING,
    /* sql_people.c */
    SQL_DIRECT_START,
    SQL_GROUP_CREATE,
    SQL_GROUP_CREATE_WITH_CONTACTS,
    SQL_GROUP_RENAME,
    SQL_GROUP_DELETE,
    SQL_MEMBERS_ADD,
    SQL_MEMBERS_ADD_CONTACTS,
    SQL_MEMBER_REMOVE,
    SQL_GROUP_QUIT,
    SQL_CONVERSATION_LIST,
    SQL_CONVERSATION_GET,
    SQL_HISTORY_OLDER,
    SQL_HISTORY_NEWER,
    SQL_MESSAGE_EDIT,
    SQL_MESSAGE_DELETE,
    SQL_CONTACT_INVITE,
    SQL_INVITATION_ANSWER,
    SQL_CONTACT_REMOVE,
    SQL_CONTACT_LIST,
    SQL_INVITATION_LIST,
    SQL_CONTACT_CHECK,
    SQL_RECEIPT_MARK,
    SQL_RECEIPTS_MARK,
    SQL_DELIVERIES,
    SQL_REACH,
    SQL_PENDING,
    SQL_ADDRESSEE,
    SQL_USER_BY_NAME,
    SQL_USER_LIST,
    SQL_CHAT_LIST,
    SQL_DAEMON_REGISTER,
    SQL_DAEMON_HEARTBEAT,
    SQL_DAEMON_LEAVE,
    SQL_PRESENCE_UP,
    SQL_PRESENCE_DOWN,
    SQL_PRESENCE_SWEEP,
    SQL_PRESENCE_ALL,
    SQL_PRESENCE_VIEWERS,
    SQL_PRESENCE_PEOPLE,
    /* sql_mail.c */
    SQL_MAIL_FORGOT,
    SQL_MAIL_CLAIM,
    SQL_MAIL_FINISH,
    SQL_MAIL_PURGE,
    SQL_EMAIL_VERIFY,
    SQL_PASSWORD_RESET,
    /* sql_door.c */
    SQL_LOGIN_ADMIT,
    SQL_LOGIN_FAILED,
    SQL_LOGIN_FORGIVE,
    SQL_SESSION_CREATE,
    SQL_SESSION_LIST,
    SQL_SESSION_END,
    SQL_SESSIONS_END,
    SQL_PASSWORD_CHANGE,
    SQL_SESSION_REFRESH,
    SQL_SESSION_REVOKE,
    SQL_COUNT
};

struct sql_statement {
    const char *name; /* of the prepared statement */
    const char *text;
};

/* The statement's name and text. */
const struct sql_statement *sql_statement(enum sql which);

#endif
