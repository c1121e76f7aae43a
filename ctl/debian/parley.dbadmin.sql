-- Run by dbconfig-common as PostgreSQL's superuser, before the schema is made: the role that may chat_post(). Parley's
-- own role may not make roles; it grants the rights (db/0011_chat_post.sql).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'parley_post') THEN
        CREATE ROLE parley_post NOLOGIN;
    END IF;
END $$;
