/* Delivery to a mail server (RFC 5321), through libcurl. */
#ifndef PARLEY_COURIER_SMTP_H
#define PARLEY_COURIER_SMTP_H

#include "courier/handover.h"
#include "shared/config.h"
#include "shared/model.h"

struct smtp;

/* Borrows config, whose SMTP_URL is set. NULL when libcurl cannot. */
struct smtp *smtp_new(const struct config *config);
/* Says goodbye to the server. */
void smtp_free(struct smtp *s);

/* Sends a message with \r\n lines, and waits until the server has answered or time is up. */
enum handover smtp_send(struct smtp *s, const char *from, const char *to, struct text message,
                        char reason[REASON_TEXT]);

#endif
