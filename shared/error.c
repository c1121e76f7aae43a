/* The rows of ERROR_TABLE. */
#include "shared/error.h"

static const struct row {
    int status;
    int close;
    const char *code;
    const char *sentence;
} rows[ERROR_COUNT] = {
#define X(name, status, close, code, sentence) [ERR_##name] = {status, close, code, sentence},
    ERROR_TABLE(X)
#undef X
};

static const struct row *row_of(enum error e)
{
    return e > OK && e < ERROR_COUNT ? &rows[e] : &rows[ERR_INTERNAL];
}

int error_status(enum error e)
{
    return row_of(e)->status;
}

int error_close(enum error e)
{
    return row_of(e)->close;
}

const char *error_code(enum error e)
{
    return row_of(e)->code;
}

const char *error_sentence(enum error e)
{
    return row_of(e)->sentence;
}

const char *status_title(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    default: return "Error";
    }
}
