/* Every way an operation can fail, and what each surface says of it.
 * Only this table knows what a 404 is: code elsewhere returns enum error. */
#ifndef PARLEY_ERROR_H
#define PARLEY_ERROR_H

/* clang-format off */
/* name, HTTP status, WebSocket close code (0: the connection stays open), public code, sentence */
#define ERROR_TABLE(X)                                                                             \
    X(BAD_JSON, 400, 0, "bad_json", "the body is not valid JSON")                                  \
    X(INVALID_BODY, 400, 0, "invalid_body", "the body has to be a JSON object")                    \
    X(MISSING_FIELD, 400, 0, "missing_field", "a required field is missing")                       \
    X(INVALID_FIELD, 400, 0, "invalid_field", "a field has a wrong type or value")                 \
    X(INVALID_PARAMETER, 400, 0, "invalid_parameter", "a query parameter has a wrong value")       \
    X(USERNAME_INVALID, 400, 0, "invalid_field",                                                   \
      "username must be 3 to 50 characters of A-Z, a-z, 0-9, '_', '.' and '-'")                    \
    X(USERNAME_NOT_ALPHANUMERIC, 400, 0, "invalid_field",                                          \
      "username must be 3 to 50 letters and digits")                                               \
    X(EMAIL_INVALID, 400, 0, "invalid_field", "email must be a valid e-mail address")              \
    X(DISPLAY_NAME_INVALID, 400, 0, "invalid_field", "display_name must be 1 to 100 characters")   \
    X(PASSWORD_WEAK, 400, 0, "weak_password",                                                      \
      "password must be at least 8 characters and at most 72 bytes, without NUL")                  \
    X(NAME_INVALID, 400, 0, "invalid_field", "name must be 1 to 100 characters")                   \
    X(CONTENT_EMPTY, 400, 0, "invalid_field", "content must not be empty")                         \
    X(CONTENT_TOO_LONG, 400, 0, "invalid_field", "content is too long")                            \
    X(MEDIA_URL_INVALID, 400, 0, "invalid_field",                                                  \
      "media_url must be an http or https URL of at most 2048 bytes")                              \
    X(CLIENT_KEY_INVALID, 400, 0, "invalid_field",                                                 \
      "client_msg_id or Idempotency-Key must be 1 to 200 bytes of printable text")                 \
    X(CONSUMER_INVALID, 400, 0, "invalid_field",                                                   \
      "a consumer's name must be 1 to 64 characters of A-Z, a-z, 0-9, '_', '.' and '-'")           \
    X(LABEL_INVALID, 400, 0, "invalid_field", "label must be 1 to 100 characters")                 \
    X(SCOPE_INVALID, 400, 0, "invalid_field",                                                      \
      "scopes must be one or more of read, send and admin")                                        \
    X(NO_TEXT, 400, 0, "missing_field", "there is no text in it")                                  \
    X(CURSOR, 400, 0, "invalid_cursor",                                                            \
      "this cursor is not one that this server gave; begin anew without one")                      \
    X(CURSOR_EXPIRED, 410, 0, "cursor_expired",                                                    \
      "what came after this cursor is no longer kept in full; begin anew without one")             \
    X(SELF_MESSAGE, 400, 0, "self_message", "you cannot send a message to yourself")               \
    X(SELF_INVITATION, 400, 0, "self_invitation", "you cannot invite yourself")                    \
    X(ALREADY_CONTACTS, 400, 0, "already_contacts", "you are contacts already")                    \
    X(ALREADY_INVITED, 400, 0, "already_invited", "you have invited this user already")            \
    X(USERNAME_TAKEN, 400, 0, "username_taken", "this username is taken")                          \
    X(EMAIL_TAKEN, 400, 0, "email_taken", "this email is taken")                                   \
    X(USERNAME_CONFLICT, 409, 0, "username_taken", "this username is taken")                       \
    X(EMAIL_CONFLICT, 409, 0, "email_taken", "this email is taken")                                \
    X(LINK_INVALID, 400, 0, "invalid_token", "this link is not valid, or has been used")           \
    X(CREDENTIALS, 401, 0, "invalid_credentials", "invalid credentials")                           \
    X(UNAUTHORIZED, 401, 4001, "unauthorized", "Invalid or expired token")                         \
    X(REFRESH_INVALID, 401, 0, "unauthorized", "Invalid or expired refresh token")                 \
    X(PASSWORD_WRONG, 403, 0, "invalid_credentials", "the current password is wrong")              \
    X(DISABLED, 403, 4003, "account_disabled", "this account is disabled")                         \
    X(FORBIDDEN, 403, 0, "forbidden", "You don't have permission to access this resource")         \
    X(INSUFFICIENT_SCOPE, 403, 0, "insufficient_scope",                                            \
      "this token may not do this")                                                                \
    X(NOT_MEMBER, 403, 0, "forbidden", "you are not a participant of this conversation")           \
    X(NOT_OWNER, 403, 0, "forbidden", "only the owner may do this")                                \
    X(SYSTEM_ROOM, 403, 0, "forbidden", "a direct conversation cannot be changed this way")        \
    X(OWNER_LEAVES, 403, 0, "forbidden", "the owner cannot leave; delete it instead")              \
    X(ORIGIN, 403, 0, "origin_not_allowed", "this origin may not open sockets")                    \
    X(NOT_FOUND, 404, 0, "not_found", "Resource not found")                                        \
    X(USER_NOT_FOUND, 404, 0, "user_not_found", "user not found")                                  \
    X(RECIPIENT_NOT_FOUND, 404, 0, "user_not_found", "recipient not found")                        \
    X(CONVERSATION_NOT_FOUND, 404, 0, "conversation_not_found", "conversation not found")          \
    X(CONSUMER_NOT_FOUND, 404, 0, "consumer_not_found", "you have no consumer of this name")       \
    X(CALLBACK_NOT_FOUND, 404, 0, "callback_not_found", "callback not found")                      \
    X(MESSAGE_NOT_FOUND, 404, 0, "message_not_found", "message not found")                         \
    X(METHOD, 405, 0, "method_not_allowed", "this method is not allowed here")                     \
    X(IDEMPOTENCY_CONFLICT, 409, 0, "idempotency_conflict",                                        \
      "this key was used for another message")                                                     \
    X(TOO_MANY_CONSUMERS, 409, 0, "too_many_consumers",                                            \
      "you have as many consumers as a user may have; delete one")                                 \
    X(TOO_MANY_TOKENS, 409, 0, "too_many_tokens",                                                  \
      "you have as many tokens as a user may have; revoke one")                                    \
    X(CALLBACK_DISABLED, 409, 0, "callback_disabled", "this callback is disabled; enable it first")   \
    X(TOO_MANY_CALLBACKS, 409, 0, "too_many_callbacks",                                            \
      "there are as many callbacks as this conversation, or its owner, may have; delete one")      \
    X(TOO_MANY_WEBHOOKS, 409, 0, "too_many_webhooks",                                              \
      "this conversation has as many webhooks as it may have; delete one")                         \
    X(BODY_TOO_LARGE, 413, 1009, "body_too_large", "the body is too large")                        \
    X(MEDIA_TYPE, 415, 1003, "unsupported_media_type", "the body has to be JSON")                  \
    X(UPGRADE, 426, 0, "upgrade_required", "open this address as a WebSocket")                     \
    X(RATE_LIMITED, 429, 4009, "rate_limited", "Rate limit exceeded")                              \
    X(TOO_MANY_SOCKETS, 429, 4010, "too_many_sockets", "too many sockets for this user")           \
    X(TOO_MANY_FROM_ADDRESS, 429, 0, "too_many_sockets", "too many sockets from this address")     \
    X(LOGIN_THROTTLED, 429, 0, "rate_limited", "too many failed logins; wait before the next try") \
    X(TOO_SLOW, 503, 4008, "too_slow", "the client reads too slowly; reconnect with since")        \
    X(GOING_AWAY, 503, 1001, "going_away", "the server is restarting; reconnect")                  \
    X(INTERNAL, 500, 1011, "internal_error", "Internal server error")                              \
    X(UNAVAILABLE, 503, 0, "unavailable", "the service is unavailable for a moment; try again")
/* clang-format on */

enum error {
    OK = 0,
#define X(name, status, close, code, sentence) ERR_##name,
    ERROR_TABLE(X)
#undef X
        ERROR_COUNT
};

/* A function whose error must not be ignored. */
#define MUSTCHECK __attribute__((warn_unused_result))

/* The row of an error. For OK and out-of-range values the row of ERR_INTERNAL. Never NULL. */
int error_status(enum error e);           /* HTTP status */
int error_close(enum error e);            /* WebSocket close code, 0: stay open */
const char *error_code(enum error e);     /* stable public code */
const char *error_sentence(enum error e); /* one human sentence */

/* The reason phrase of an HTTP status (RFC 9110), "Error" when it is not one we send. */
const char *status_title(int status);

#endif
