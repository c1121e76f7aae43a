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

/* Microseconds on a clock that never jumps, for measuring spans. */
int64_t time_steady(void);
/* The same in seconds. */
double time_seconds(void);

/* 2026-11-21T09:00:00.123456Z */
void time_format(int64_t us, char out[TIME_TEXT]);

/* Reads an RFC 3339 time with any offset and at most 24 fraction digits. The first six go into *us;
 * those behind them are a number put into *rest, -1 when there are none. False when it is not RFC
 * 3339, or names a leap second, which no clock of ours shows; the outputs are then untouched. */
bool time_parse(const char *text, int64_t *us, int64_t *rest);

#endif
