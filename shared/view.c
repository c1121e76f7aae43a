/* The pieces every dialect's view is made of. */
#include "shared/view.h"

#include "shared/id.h"
#include "shared/timefmt.h"

#include <json-c/json.h>

struct json_object *view_text(const char *s)
{
    return s ? json_object_new_string(s) : NULL;
}

struct json_object *view_content(struct text t)
{
    return json_object_new_string_len(t.s ? t.s : "", (int)t.len);
}

struct json_object *view_time(int64_t us)
{
    char text[TIME_TEXT];
    if (us == TIME_NONE)
        return NULL;
    time_format(us, text);
    return json_object_new_string(text);
}

struct json_object *view_uuid(int64_t id, int64_t created_us)
{
    char text[UUID_TEXT];
    id_uuid(id, created_us, text);
    return json_object_new_string(text);
}

struct json_object *view_problem(enum error e, const char *sentence)
{
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, "type", json_object_new_string("about:blank"));
    json_object_object_add(o, "title", json_object_new_string(status_title(error_status(e))));
    json_object_object_add(o, "status", json_object_new_int(error_status(e)));
    json_object_object_add(o, "detail", json_object_new_string(sentence));
    json_object_object_add(o, "error", json_object_new_string(sentence));
    json_object_object_add(o, "code", json_object_new_string(error_code(e)));
    return o;
}

const char *view_challenge(enum error e)
{
    if (e == ERR_INSUFFICIENT_SCOPE)
        return "Bearer error=\"insufficient_scope\"";
    return e != OK && error_status(e) == 401 ? "Bearer" : "";
}

struct json_object *view_list(const char *name, int count, struct json_object *(*item)(const void *list, int i),
                              const void *list)
{
    struct json_object *array = json_object_new_array();
    for (int i = 0; i < count; i++)
        json_object_array_add(array, item(list, i));
    if (!name)
        return array;
    struct json_object *o = json_object_new_object();
    json_object_object_add(o, name, array);
    return o;
}
