/* The courier as a whole: what main makes and passes down. */
#ifndef PARLEY_COURIER_COURIER_H
#define PARLEY_COURIER_COURIER_H

#include "courier/message.h"
#include "courier/reach.h"
#include "courier/smtp.h"
#include "shared/config.h"
#include "shared/monitor.h"

#include <signal.h>

struct courier {
    struct config config;
    struct arena arena; /* as long as the process */
    struct db db;
    struct mailbox from; /* MAIL_FROM */
    struct smtp *smtp;   /* NULL: SENDMAIL, or the log */
    struct monitor monitor;
    struct reach reach; /* CALLBACK_ALLOW */
    sigset_t signals;   /* what was blocked when the program started */
};

#endif
