/* How handing a message over ended; smtp.c and sendmail.c are the two ways to do it. */
#ifndef PARLEY_COURIER_HANDOVER_H
#define PARLEY_COURIER_HANDOVER_H

enum handover {
    HANDOVER_ACCEPTED, /* the other side has taken it */
    HANDOVER_DEFERRED, /* not now: worth another attempt */
    HANDOVER_REFUSED,  /* never: another attempt would end the same */
    HANDOVER_STOPPED   /* given up halfway, because the courier was asked to stop */
};

/* Why, in a few words without an address, for the log. */
enum { REASON_TEXT = 256 };

#endif
