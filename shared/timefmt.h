/* Times on the wire: RFC 3339, UTC, microseconds, Z. Inside: microseconds since the epoch. */
#ifndef PARLEY_TIMEFMT_H
#define PARLEY_TIMEFMT_H

#include <stdbool.h>
#include <stdint.h>

enum { TIME_TEXT = 40 };

/* No time: an SQL NULL. */
#define TIME_NONE INT64_MIN

/* Now, in microseconds since the epoch. */
int64_t time_now(void);

/* 2026-11-21T09:00:00.123456Z */
void time_format(int64_t us, char out[TIME_TEXT]);

/* Reads an RFC 3339 time with any offset and any number of fraction digits. The first six digits go
 * into *us; the digits behind them, at most 18, are a number put into *rest (0 without them), -1
 * when there are none. False when it is not RFC 3339; the outputs are then untouched. */
bool time_parse(const char *text, int64_t *us, int64_t *rest);

#endif
