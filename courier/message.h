/* Mail as it travels: RFC 5322 headers and a MIME body in UTF-8. */
#ifndef PARLEY_COURIER_MESSAGE_H
#define PARLEY_COURIER_MESSAGE_H

#include "courier/letter.h"
#include "shared/arena.h"
#include "shared/model.h"

#include <stdbool.h>
#include <stdint.h>

/* Somebody in a header. */
struct mailbox {
    const char *name; /* "": none */
    const char *address;
};

/* Reads `address` or `Name <address>`; false when it is neither, or has control characters. */
bool mailbox_parse(const char *text, struct arena *a, struct mailbox *out);

/* What stands in the headers. */
struct envelope {
    struct mailbox from;
    const char *to;   /* address */
    int64_t id, date; /* make up the Message-ID, equal whenever this mail is sent; date in us */
};

/* The message with lines that end with \n. False when something could break out of its header line:
 * nothing that comes from outside is ever trusted to be one line. */
bool message_render(const struct envelope *e, const struct letter *l, struct arena *a, struct text *out);

/* The same with lines that end with \r\n. */
struct text message_crlf(struct text message, struct arena *a);

#endif
