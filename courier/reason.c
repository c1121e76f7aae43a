#include "courier/reason.h"

#include "shared/validate.h"

#include <string.h>

const char *reason_of_curl(CURLcode code, const char *error, int *len)
{
    const char *why = *error && utf8_valid(error, strlen(error)) ? error : curl_easy_strerror(code);
    *len = (int)utf8_cut(why, 200);
    return why;
}
