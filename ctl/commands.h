/* What the table of commands calls, by file. */
#ifndef PARLEY_COMMANDS_H
#define PARLEY_COMMANDS_H

struct ctl;

/* user.c, user_export.c */
int cmd_user_add(struct ctl *), cmd_user_list(struct ctl *), cmd_user_disable(struct ctl *),
    cmd_user_enable(struct ctl *);
int cmd_user_passwd(struct ctl *), cmd_user_promote(struct ctl *), cmd_user_delete(struct ctl *);
int cmd_user_export(struct ctl *);
/* session.c */
int cmd_session_list(struct ctl *), cmd_session_revoke(struct ctl *), cmd_session_create(struct ctl *);
/* token.c */
int cmd_token_list(struct ctl *), cmd_token_create(struct ctl *), cmd_token_revoke(struct ctl *);
/* key.c */
int cmd_key_list(struct ctl *), cmd_key_add(struct ctl *), cmd_key_use(struct ctl *), cmd_key_remove(struct ctl *);
int cmd_key_rotate(struct ctl *);
/* look.c */
int cmd_stats(struct ctl *), cmd_conversation_list(struct ctl *), cmd_conversation_show(struct ctl *);
/* retention.c, backup.c */
int cmd_backup_verify(struct ctl *);
int cmd_conversation_retention(struct ctl *);
/* dump.c, load.c */
int cmd_export(struct ctl *), cmd_import(struct ctl *);
/* settings.c */
int cmd_config_check(struct ctl *), cmd_config_show(struct ctl *);
/* migrate.c, completion.c, doctor.c */
int cmd_migrate(struct ctl *), cmd_completion(struct ctl *), cmd_doctor(struct ctl *);

#endif
