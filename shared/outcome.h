/* What the functions in db/ answer when they may refuse. */
#ifndef PARLEY_OUTCOME_H
#define PARLEY_OUTCOME_H

#include "shared/db.h"
#include "shared/error.h"

/* OK for the outcomes that come with a result. NULL or a word nobody knows: ERR_INTERNAL. */
enum error outcome_error(const char *outcome);

/* The outcome in a result's first column, which is all that matters of it. */
MUSTCHECK enum error outcome_result(const PGresult *res);
/* Runs a statement that answers a row with it; `read` takes the rest. */
MUSTCHECK enum error outcome_row(struct db *db, const struct query *q, struct arena *a, row_reader *read, void *out);
/* The same where rows are a list behind it; see rows_read(). */
MUSTCHECK enum error outcome_list(struct db *db, const struct query *q, struct arena *a, row_reader *read, size_t size,
                                  void *out, int *count);
/* Runs a statement that answers just that. */
MUSTCHECK enum error outcome_run(struct db *db, const struct query *q);

#endif
