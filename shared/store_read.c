/* From columns to the model; the column lists are in sql_columns.h. */
#include "shared/store.h"

void user_read(struct row *r, struct user *out)
{
    *out = (struct user){0};
    out->id = row_int(r);
    out->username = row_text(r);
    out->email = row_text(r);
    out->display_name = row_text(r);
    out->password_hash = row_text(r);
    out->is_active = row_bool(r);
    out->email_verified = row_bool(r);
    out->created_at = row_time(r);
    out->updated_at = row_time(r);
}

void user_row(struct row *r, void *out)
{
    user_read(r, out);
}

void person_read(struct row *r, struct user *out)
{
    *out = (struct user){0};
    out->id = row_int(r);
    out->username = row_text(r);
    out->display_name = row_text(r);
    out->is_active = row_bool(r);
    out->created_at = row_time(r);
    out->updated_at = row_time(r);
}

void message_read(struct row *r, struct message *out)
{
    *out = (struct message){0};
    out->id = row_int(r);
    out->conversation_id = row_int(r);
    out->seq = row_int(r);
    out->type = row_text(r);
    out->content = row_bytes(r);
    out->media_url = row_text(r);
    out->client_key = row_text(r);
    out->created_at = row_time(r);
    out->edited_at = row_time(r);
    out->is_group = row_bool(r);
    out->conversation_created_at = row_time(r);
    person_read(r, &out->sender);
    out->recipient.id = row_int(r);
    out->recipient.username = row_text(r);
    out->recipient.created_at = row_time(r);
}

void message_row(struct row *r, void *out)
{
    message_read(r, out);
}

void contact_read(struct row *r, struct contact *out)
{
    *out = (struct contact){0};
    out->id = row_int(r);
    person_read(r, &out->other);
    out->conversation_id = row_int(r);
    out->conversation_created_at = row_time(r);
    out->created_at = out->updated_at = row_time(r); /* it never changes */
}

void invitation_read(struct row *r, struct invitation *out)
{
    *out = (struct invitation){0};
    out->id = row_int(r);
    person_read(r, &out->from);
    person_read(r, &out->to);
    out->created_at = out->updated_at = row_time(r);
}
