/* Registering, logging in and refreshing, once for all surfaces; the route's dialect tells which
 * rules hold and what is handed out. Handlers add the view. */
#ifndef PARLEY_ACCOUNT_H
#define PARLEY_ACCOUNT_H

#include "fcgi-app/request.h"
#include "shared/view.h"

/* Makes an account of the body's username, email, password and display_name, and opens a session
 * where the surface does so (else access_token is NULL). */
MUSTCHECK enum error account_register(struct request *req, struct user *out, struct credentials *tokens);

/* Opens a session for the body's username (or email) and password. An unknown user and a wrong
 * password take the same time and get the same answer, ERR_CREDENTIALS; after too many of them
 * ERR_LOGIN_THROTTLED. */
MUSTCHECK enum error account_login(struct request *req, struct user *out, struct credentials *tokens);

/* Sets the body's password for the caller, who has to know the current_password, and ends all other
 * sessions. ERR_PASSWORD_WRONG. */
MUSTCHECK enum error account_change_password(struct request *req);

/* Exchanges the body's refresh_token; with rotate for a new one as well. */
MUSTCHECK enum error account_refresh(struct request *req, bool rotate, struct user *out, struct credentials *tokens);

/* For tests: a username of what a display name has of permitted characters; attempt 0 is the plainest,
 * later ones end in random digits, as the plain one was taken. */
enum { USERNAME_TEXT = 51 };
void account_derive_username(const char *display_name, int attempt, char out[USERNAME_TEXT]);

#endif
