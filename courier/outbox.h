/* Mail that is owed, one piece at a time: claim it, hand it over, note what came of it. */
#ifndef PARLEY_COURIER_OUTBOX_H
#define PARLEY_COURIER_OUTBOX_H

#include "courier/courier.h"

/* Sends the mail that is due longest. True when there may be more to do at once. */
bool outbox_send_next(struct courier *c);

/* For tests: milliseconds until a mail is tried again after its nth attempt (from 1): first_s seconds,
 * doubling up to an hour, and a quarter more or less as chance (0 to 255) has it. */
int64_t outbox_delay_ms(int64_t attempt, int first_s, unsigned char chance);

#endif
