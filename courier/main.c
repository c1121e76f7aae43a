/* courier: sends the mail that requests have left in the outbox, so that no request waits for a mail
 * server, posts what happens in conversations to their callbacks, and deletes messages that are too
 * old. Any number may run, on any number of hosts. */
#include "courier/callbacks.h"
#include "courier/courier.h"
#include "courier/outbox.h"
#include "courier/settings.h"
#include "courier/stop.h"
#include "shared/callback_store.h"
#include "shared/log.h"
#include "shared/mail_store.h"
#include "shared/metrics.h"
#include "shared/retention_store.h"
#include "shared/timefmt.h"

#include <stdlib.h>
#include <sysexits.h>

enum { LOOK_MS = 1000, CONNECTIONS = 2 };
static const int64_t SWEEP_US = INT64_C(3600) * 1000000, SWEEP_ON_US = INT64_C(5) * 1000000;

/* Deletes a few messages, when it is (steady) time; answers when it is the next time. */
static int64_t forget(struct courier *c, int64_t at)
{
    struct purge step;
    int64_t began = time_steady(), now;
    if (began < at)
        return at;
    if (messages_purge(&c->db, c->config.messages_keep, &step) != OK)
        return time_steady() + LOOK_MS * INT64_C(1000);
    now = time_steady();
    metric_set(METRIC_PURGE_AT, 0, time_now());
    if (step.messages) {
        metric_add(METRIC_PURGED, 0, step.messages);
        metric_set(METRIC_PURGE_TOOK, 0, now - began);
        log_event(LOG_INFO, "messages_purged", log_int("conversation", step.conversation),
                  log_int("messages", step.messages));
    }
    return now + step.wait_ms * 1000;
}

/* Forgets some of what is done with, when it is (steady) time; answers when it is the next time. */
static int64_t sweep(struct courier *c, int64_t at)
{
    int64_t mails = 0, lines = 0;
    if (time_steady() < at)
        return at;
    bool good = mail_purge(&c->db, &mails) == OK &&
                (!c->config.audit_keep || audit_purge(&c->db, c->config.audit_keep, &lines) == OK);
    bool more = mails == PURGE_BATCH || lines == PURGE_BATCH;
    return time_steady() + (good && !more ? SWEEP_US : SWEEP_ON_US);
}

/* False: the callbacks' process is gone, and the service manager is to start both anew. */
static bool run(struct courier *c, pid_t callbacks)
{
    int64_t sweep_at = 0, forget_at = 0;
    const char *by = c->smtp ? "smtp" : *c->config.sendmail ? "sendmail" : "log";
    log_event(LOG_NOTICE, "started", log_text("mail_by", by));
    do {
        monitor_keep(&c->monitor);
        sweep_at = sweep(c, sweep_at);
        while (!stop_asked() && outbox_send_next(c))
            ;
        forget_at = forget(c, forget_at);
        if (callbacks_ended(callbacks)) {
            log_event(LOG_ERROR, "callbacks_ended");
            return false;
        }
    } while (!stop_wait(LOOK_MS));
    callbacks_stop(callbacks);
    log_event(LOG_NOTICE, "stopped");
    return true;
}

/* For the monitor: how much there is to do, for all couriers together. */
static void look_at_queue(struct monitor *m)
{
    int64_t count, age, dead;
    if (mail_queue(&m->db, &count, &age) == OK) {
        metric_set(METRIC_MAIL_QUEUE, 0, count);
        metric_set(METRIC_MAIL_OLDEST, 0, age);
    }
    if (callbacks_queue(&m->db, &count, &dead) == OK) {
        metric_set(METRIC_CALLBACK_QUEUE, 0, count);
        metric_set(METRIC_CALLBACK_DEAD, 0, dead);
    }
}

static int serve(struct courier *c)
{
    enum error e;
    metrics_start(COURIER, NULL);
    c->monitor = (struct monitor){.ready = monitor_database, .look = look_at_queue};
    monitor_open(&c->monitor, &c->config);
    monitor_keep(&c->monitor);
    while ((e = db_check(&c->db, CONNECTIONS, DB_PATIENCE_MS)) == ERR_UNAVAILABLE)
        ; /* it takes its time */
    if (e != OK)
        return EX_CONFIG;
    db_release(&c->db); /* a process has its own connection */
    db_init(&c->db, &c->config);
    signal(SIGPIPE, SIG_IGN);
    stop_block(&c->signals);
    pid_t callbacks = callbacks_start(c);
    if (callbacks < 0 || (*c->config.smtp_url && !(c->smtp = smtp_new(&c->config))))
        return EX_SOFTWARE;
    bool good = run(c, callbacks);
    monitor_close(&c->monitor);
    smtp_free(c->smtp);
    return good ? EXIT_SUCCESS : EX_SOFTWARE;
}

int main(int argc, char **argv)
{
    struct courier c = {0};
    bool check_sql = false;
    enum config_result result = config_load("courier", argc, argv, &c.config, &check_sql);
    if (result != CONFIG_OK)
        return result == CONFIG_EXIT ? EXIT_SUCCESS : EX_CONFIG;
    int status = EX_CONFIG;
    arena_init(&c.arena);
    if (settings_check(&c.config, stderr, &c.arena, &c.from, &c.reach)) {
        db_init(&c.db, &c.config);
        status = check_sql ? !db_check_sql(&c.db) : serve(&c);
        db_release(&c.db);
    }
    arena_release(&c.arena);
    return status;
}
