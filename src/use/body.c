/* SPDX-License-Identifier: GPL-3.0-or-later */
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

enum status is_owner_of(struct db_conn *conn, int64_t account_id, int64_t owner_id, bool *out, struct error *err)
{
    enum role role;
    TRY(account_role_in(conn, account_id, owner_id, &role, err));
    *out = role >= ROLE_ADMIN;
    return OK;
}
