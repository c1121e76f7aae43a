/* The column lists that statements share, each read by one function of store_read.c. Only for the
 * files of the statement table. */
#ifndef PARLEY_SQL_COLUMNS_H
#define PARLEY_SQL_COLUMNS_H

/* clang-format off */
/* Read by user_read(). */
#define USER_COLUMNS(u)                                                                            \
    u ".id, " u ".username, " u ".email, " u ".display_name, " u ".password_hash, " u              \
      ".is_active, " u ".email_verified, " u ".created_at, " u ".updated_at"

/* What others may see of a user. Read by person_read(). */
#define PERSON_COLUMNS(u)                                                                          \
    u ".id, " u ".username, " u ".display_name, " u ".is_active, " u ".created_at, " u ".updated_at"

/* Read by message_read(). */
#define MESSAGE_COLUMNS(v)                                                                         \
    v ".id, " v ".conversation_id, " v ".seq, " v ".type, " v ".content, " v ".media_url, " v      \
      ".client_key, " v ".created_at, " v ".edited_at, " v ".is_group, " v                         \
      ".conversation_created_at, " v ".sender_id, " v ".sender_username, " v                       \
      ".sender_display_name, " v ".sender_is_active, " v ".sender_created_at, " v                  \
      ".sender_updated_at, " v ".recipient_id, " v ".recipient_username, " v ".recipient_created_at"

/* Read by contact_read(), from contact_view. */
#define CONTACT_COLUMNS(v)                                                                         \
    v ".id, " v ".other_id, " v ".username, " v ".display_name, " v ".is_active, " v               \
      ".other_created_at, " v ".other_updated_at, " v ".conversation_id, " v                       \
      ".conversation_created_at, " v ".created_at"

/* Read by invitation_read(), from invitation_view. */
#define INVITATION_COLUMNS(v)                                                                      \
    v ".id, " v ".from_id, " v ".from_username, " v ".from_display_name, " v ".from_is_active, " v \
      ".from_created_at, " v ".from_updated_at, " v ".to_id, " v ".to_username, " v                \
      ".to_display_name, " v ".to_is_active, " v ".to_created_at, " v ".to_updated_at, " v         \
      ".created_at"
/* clang-format on */

#endif
