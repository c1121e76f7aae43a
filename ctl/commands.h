/* What the table of commands calls, by file. */
#ifndef PARLEY_COMMANDS_H
#define PARLEY_COMMANDS_H

struct ctl;

/* user.c, user_export.c */
int user_add(struct ctl *), user_list(struct ctl *), user_disable(struct ctl *), user_enable(struct ctl *);
int user_passwd(struct ctl *), user_promote(struct ctl *), user_delete(struct ctl *);
int user_export(struct ctl *);
/* session.c */
int session_list(struct ctl *), session_end(struct ctl *), token_make(struct ctl *);
/* key.c */
int key_list(struct ctl *), key_add(struct ctl *), key_use(struct ctl *), key_remove(struct ctl *);
int key_rotate(struct ctl *);
/* look.c */
int stats(struct ctl *), conversation_index(struct ctl *), conversation_show(struct ctl *);
/* dump.c, load.c */
int server_export(struct ctl *), server_import(struct ctl *);
/* settings.c */
int config_check(struct ctl *), config_show(struct ctl *);
/* migrate.c, completion.c, doctor.c */
int migrate(struct ctl *), completion(struct ctl *), doctor(struct ctl *);

#endif
