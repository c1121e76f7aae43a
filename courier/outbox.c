/* The claim is a lease in the database, so any number of couriers share the work and a dead one's mail
 * is taken up by the next. What was accepted is noted at once and until it is noted nothing else is
 * done. There is one gap nobody can close: a courier killed between the server's "250" and the note
 * leaves a mail that is sent again, under the same Message-ID. */
#include "courier/outbox.h"

#include "courier/sendmail.h"
#include "courier/stop.h"
#include "shared/log.h"
#include "shared/mail_store.h"
#include "shared/metrics.h"
#include "shared/timefmt.h"

#include <stdio.h>
#include <unistd.h>

enum {
    DELAY_MOST_MS = 3600 * 1000,
    NOTE_AGAIN_US = 200000,
    NOTE_STOPPING_US = 8000000 /* how long a stopping courier tries to note what was accepted */
};

int64_t outbox_delay_ms(int64_t attempt, int first_s, unsigned char chance)
{
    int64_t delay = first_s * INT64_C(1000);
    while (--attempt > 0 && delay < DELAY_MOST_MS)
        delay *= 2;
    delay = delay < DELAY_MOST_MS ? delay : DELAY_MOST_MS;
    return delay * 3 / 4 + delay * chance / 510;
}

static enum handover hand_over(struct courier *c, const struct mail *m, const struct letter *l, struct arena *a,
                               char reason[REASON_TEXT])
{
    struct envelope e = {c->from, m->recipient, m->id, m->created_at};
    struct text message;
    if (!message_render(&e, l, a, &message)) {
        snprintf(reason, REASON_TEXT, "the address cannot stand in a header");
        return HANDOVER_REFUSED;
    }
    if (c->smtp)
        return smtp_send(c->smtp, c->from.address, m->recipient, message_crlf(message, a), reason);
    return sendmail_send(c->config.sendmail, c->config.mail_timeout, &c->signals, message, reason);
}

/* Sends a letter, or logs its link where no mail server is set up. */
static enum mail_state send_letter(struct courier *c, const struct mail *m, const struct letter *l, struct arena *a,
                                   char reason[REASON_TEXT], bool *stopped)
{
    if (!c->smtp && !*c->config.sendmail) {
        log_event(LOG_NOTICE, "mail_logged", log_int("mail", m->id), log_text("kind", m->kind),
                  log_text("user", m->username), log_text("link", l->link));
        return MAIL_LOGGED;
    }
    switch (hand_over(c, m, l, a, reason)) {
    case HANDOVER_ACCEPTED: return MAIL_SENT;
    case HANDOVER_REFUSED: return MAIL_FAILED;
    case HANDOVER_STOPPED: *stopped = true; break;
    case HANDOVER_DEFERRED: break;
    }
    return MAIL_PENDING;
}

/* Notes how it ended. While the database is away only the note of an accepted mail is insisted on: any
 * other is due again when the lease is over. */
static void note(struct courier *c, const struct mail *m, enum mail_state *state, const char *reason, int64_t delay_ms)
{
    int64_t stop_at = 0;
    enum error e;
    while ((e = mail_finish(&c->db, m, state, reason, delay_ms)) == ERR_UNAVAILABLE && *state == MAIL_SENT) {
        if (stop_asked() && !stop_at)
            stop_at = time_steady() + NOTE_STOPPING_US;
        if (stop_at && time_steady() > stop_at)
            break;
        usleep(NOTE_AGAIN_US);
    }
    if (e != OK)
        log_event(*state == MAIL_SENT ? LOG_ERROR : LOG_WARN, "mail_not_noted", log_int("mail", m->id),
                  log_int("sent", *state == MAIL_SENT));
}

static void tell_outcome(const struct mail *m, enum mail_state state, const char *reason, int64_t delay_ms)
{
    metric_add(METRIC_MAILS, (int)state, 1);
    if (state == MAIL_SENT)
        log_event(LOG_INFO, "mail_sent", log_int("mail", m->id), log_text("kind", m->kind),
                  log_int("attempt", m->attempt));
    else if (state == MAIL_FAILED)
        log_event(LOG_ERROR, "mail_failed", log_int("mail", m->id), log_text("kind", m->kind),
                  log_int("attempt", m->attempt), log_text("reason", reason));
    else if (state == MAIL_PENDING)
        log_event(LOG_WARN, "mail_deferred", log_int("mail", m->id), log_text("kind", m->kind),
                  log_int("attempt", m->attempt), log_int("retry_ms", delay_ms), log_text("reason", reason));
}

bool outbox_send_next(struct courier *c)
{
    char token[SECRET_TEXT], reason[REASON_TEXT] = "";
    unsigned char hash[SECRET_HASH], chance;
    bool stopped = false;
    struct arena a;
    struct letter letter;
    struct mail m = {0};
    arena_init(&a);
    secret_make(token);
    secret_hash(token, hash);
    secret_bytes(&chance, 1);
    /* The lease outlasts the longest delivery, or a second courier would begin beside the first. */
    bool claimed = mail_claim(&c->db, &a, hash, 2 * (int64_t)c->config.mail_timeout, &m) == OK && m.id;
    if (claimed && m.failure) {
        tell_outcome(&m, MAIL_FAILED, m.failure, 0);
    } else if (claimed) {
        letter_write(&c->config, &m, token, &a, &letter);
        enum mail_state state = send_letter(c, &m, &letter, &a, reason, &stopped);
        int64_t delay = stopped ? 0 : outbox_delay_ms(m.attempt, c->config.mail_retry, chance);
        note(c, &m, &state, *reason ? reason : NULL, delay);
        tell_outcome(&m, state, reason, delay);
    }
    arena_release(&a);
    return claimed;
}
