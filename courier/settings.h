/* The settings of mail and callbacks, checked before the first is sent. */
#ifndef PARLEY_COURIER_SETTINGS_H
#define PARLEY_COURIER_SETTINGS_H

#include "courier/message.h"
#include "courier/reach.h"
#include "shared/config.h"

#include <stdio.h>

/* False after printing a sentence that names the setting. *from is MAIL_FROM's, in the arena, *reach
 * CALLBACK_ALLOW's; trailing slashes of PUBLIC_URL are cut off. */
bool settings_check(struct config *config, FILE *errors, struct arena *a, struct mailbox *from, struct reach *reach);

#endif
