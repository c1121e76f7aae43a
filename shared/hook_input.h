/* What programs send to an incoming webhook, in the forms they know from Slack, brought to one text. */
#ifndef PARLEY_HOOK_INPUT_H
#define PARLEY_HOOK_INPUT_H

#include "shared/arena.h"
#include "shared/error.h"
#include "shared/input.h"

/* What a body declares itself to be. It is not always so: curl -d says "form" whatever it sends. */
enum hook_form { HOOK_JSON, HOOK_FORM, HOOK_TEXT };

/* The text of a body: Slack's {"text", "attachments", "blocks"} as JSON, in a form's field payload, or as a
 * form's field text; a GitHub event, whose name is its header's (NULL: none); or just text. Of max bytes at
 * most: what is longer ends in "…", as no program would send it again in short.
 * ERR_BAD_JSON, ERR_INVALID_BODY, ERR_INVALID_FIELD, ERR_NO_TEXT; sentences in `in`, which the caller
 * releases. */
MUSTCHECK enum error hook_text(struct input *in, struct arena *a, enum hook_form form, struct text body,
                               const char *github_event, size_t max, const char **out);

#endif
