/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "notice/notice.h"
#include "use/internal.h"

enum status use_body_only(const json_t *body, const char *const *members, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value)
    {
        bool known = false;
        for (size_t i = 0; members[i]; i++)
            known = known || strcmp(members[i], key) == 0;
        if (!known)
            return fail(err, INVALID, NULL, "The body has a member \"%.64s\" that this address does not know.", key);
    }
    return OK;
}

enum status use_body_text(const json_t *body, const char *key, size_t most, bool wanted, struct str *out,
                          struct error *err)
{
    const json_t *value = json_object_get(body, key);
    *out = json_get_str(body, key);
    if (value && (!str_given(*out) || out->len > most))
        return fail(err, INVALID, NULL, "\"%s\" is a text of at most %zu bytes.", key, most);
    if (wanted && out->len == 0)
        return fail(err, INVALID, NULL, "\"%s\" is needed: a text of 1 to %zu bytes.", key, most);
    return OK;
}

static enum status tell_rows(struct db_conn *tx, struct stmt *row, int64_t repo_id, const char *kind, struct str text,
                             struct error *err)
{
    while (stmt_next(row)) {
        const struct notice notice = {stmt_int(row, 0), repo_id, kind, text};
        TRY(notice_add(tx, &notice, err));
    }
    return stmt_end(row, err);
}

static const char owners_sql[] = "SELECT id FROM account WHERE id = ? AND kind = 1 "
                                 "UNION SELECT user_id FROM member WHERE org_id = ? AND role >= 3";

enum status tell_owners(struct db_conn *tx, int64_t owner_id, int64_t repo_id, const char *kind, struct str text,
                        struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    TRY(db_prepare(tx, owners_sql, &row, err));
    stmt_bind_int(row, 1, owner_id);
    stmt_bind_int(row, 2, owner_id);
    return tell_rows(tx, row, repo_id, kind, text, err);
}

enum status is_owner_of(struct db_conn *conn, int64_t account_id, int64_t owner_id, bool *out, struct error *err)
{
    enum role role;
    TRY(account_role_in(conn, account_id, owner_id, &role, err));
    *out = role >= ROLE_ADMIN;
    return OK;
}
