#include "ctl/verdict.h"

#include "ctl/output.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {
    [VERDICT_OK] = "ok", [VERDICT_SKIPPED] = "skipped", [VERDICT_WARN] = "warning", [VERDICT_BAD] = "bad"};

void verdicts_init(struct verdicts *v, bool json)
{
    *v = (struct verdicts){.json = json, .list = json_object_new_array()};
}

void verdict(struct verdicts *v, enum verdict_state state, const char *check, const char *mend, const char *format, ...)
{
    char sentence[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    v->count[state]++;
    if (!v->json) {
        printf("%-7s  %-14s %s\n", names[state], check, sentence);
        if (mend)
            printf("%24s mend: %s\n", "", mend);
        fflush(stdout);
    }
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "check", json_object_new_string(check));
    json_object_object_add(o, "state", json_object_new_string(names[state]));
    json_object_object_add(o, "says", json_object_new_string(sentence));
    json_object_object_add(o, "mend", mend ? json_object_new_string(mend) : NULL);
    json_object_array_add(v->list, o);
}

bool verdicts_end(struct verdicts *v)
{
    struct output out = {.json = true};
    if (v->json) {
        output_print(&out, v->list);
    } else {
        printf("\n%d well, %d bad, %d warnings, %d skipped\n", v->count[VERDICT_OK], v->count[VERDICT_BAD],
               v->count[VERDICT_WARN], v->count[VERDICT_SKIPPED]);
        json_object_put(v->list);
    }
    return !v->count[VERDICT_BAD];
}
