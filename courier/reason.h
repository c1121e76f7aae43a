/* Why a server did not take something, in text that PostgreSQL takes, too. */
#ifndef PARLEY_COURIER_REASON_H
#define PARLEY_COURIER_REASON_H

#include <curl/curl.h>

/* What libcurl says: error (its CURLOPT_ERRORBUFFER, "" when it wrote none), unless it quotes a certificate's stray
 * bytes, or what code is called. Not ended: *len bytes of it, at most 200, are UTF-8. */
const char *reason_of_curl(CURLcode code, const char *error, int *len);

#endif
