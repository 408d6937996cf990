/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "signin/key_scopes.h"
#include "base/time.h"
#include "repo/repo.h"

struct scope_words {
    struct str ns, name; /* name absent: all of the name space */
    enum repo_kind kind;
    enum role role;
};

/* "datasets/alice/birds:write" */
static bool read_words(struct str text, enum role otherwise, struct scope_words *out)
{
    struct str rest = text, whole, first;
    *out = (struct scope_words){.kind = KIND_MODEL, .role = otherwise};
    str_cut(&rest, ':', &whole);
    if (str_given(rest) && !role_parse(rest, &out->role))
        return false;
    rest = whole;
    str_cut(&rest, '/', &first);
    if (str_given(rest) && memchr(rest.data, '/', rest.len)) {
        if (!str_ends(first, STR("s")) || !repo_kind_parse(first, &out->kind))
            return false;
        str_cut(&rest, '/', &first);
    }
    out->ns = first;
    out->name = rest;
    return first.len > 0 && (!str_given(rest) || rest.len > 0);
}

static enum status not_there(struct str text, struct error *err)
{
    bool plain = text.len <= 300 && str_is_utf8(text);
    return fail(err, INVALID, NULL,
                "There is nothing called \"%.*s\" that a token could be limited to: name what you see, as alice/flora, "
                "datasets/alice/birds or alice, with :read, :write or :admin behind it",
                STR_ARG(plain ? text : STR("that")));
}

static enum status find_repo(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                             const struct scope_words *words, int64_t *id, struct error *err)
{
    struct repo repo;
    bool moved;
    TRY(repo_find(conn, arena, words->kind, words->ns, words->name, &repo, &moved, err));
    struct access_object object = repo_access(&repo);
    if (actor && access_decide(conn, actor, ACT_SEE, &object, NULL) != OK)
        return NOT_FOUND;
    *id = repo.id;
    return OK;
}

enum status key_scope_add(struct db_conn *conn, struct arena *arena, const struct actor *actor, struct str text,
                          enum role otherwise, struct key_scope scopes[KEY_SCOPES_MOST], size_t *count,
                          struct error *err)
{
    struct scope_words words;
    struct key_scope scope = {0};
    struct account owner = {0};
    if (*count == KEY_SCOPES_MOST)
        return fail(err, INVALID, NULL, "A token can be limited to at most %d repos and name spaces", KEY_SCOPES_MOST);
    if (!read_words(text, otherwise, &words))
        return not_there(text, err);
    enum status found = str_given(words.name) ? find_repo(conn, arena, actor, &words, &scope.repo_id, err)
                                              : account_find(conn, arena, words.ns, &owner, err);
    if (found == NOT_FOUND || owner.erased)
        return not_there(text, err);
    TRY(found);
    scope.owner_id = owner.id;
    scope.role = words.role;
    scopes[(*count)++] = scope;
    return OK;
}

static enum status show_space(struct db_conn *conn, struct arena *arena, int64_t owner_id, struct key_scope_shown *out,
                              struct error *err)
{
    struct account owner;
    TRY(account_get(conn, arena, owner_id, &owner, err));
    out->type = owner.kind == ACCOUNT_ORG ? STR("org") : STR("user");
    out->id = arena_printf(arena, "%024llx", (unsigned long long)owner.id);
    out->name = owner.name;
    out->text = owner.name;
    return OK;
}

enum status key_scope_show(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                           const struct key_scope *scope, struct key_scope_shown *out, struct error *err)
{
    struct repo repo;
    *out = (struct key_scope_shown){0};
    if (!scope->repo_id) {
        TRY(show_space(conn, arena, scope->owner_id, out, err));
    } else {
        enum status found = repo_get(conn, arena, scope->repo_id, &repo, err);
        if (found == NOT_FOUND)
            return OK;
        TRY(found);
        struct access_object object = repo_access(&repo);
        if (access_decide(conn, actor, ACT_SEE, &object, NULL) != OK)
            return OK;
        out->type = repo_kind_name(repo.kind);
        out->id = repo.public_id;
        out->name = repo.full_name;
        out->text = arena_printf(arena, "%.*s%.*s", STR_ARG(repo_kind_prefix(repo.kind)), STR_ARG(repo.full_name));
    }
    out->text = arena_printf(arena, "%.*s:%.*s", STR_ARG(out->text), STR_ARG(role_name(scope->role)));
    return OK;
}

static enum status write_scoped(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                                const struct key_scope *scope, struct json_writer *w, struct error *err)
{
    struct key_scope_shown shown;
    TRY(key_scope_show(conn, arena, actor, scope, &shown, err));
    if (!str_given(shown.text))
        return OK;
    jw_object(w);
    jw_key(w, "entity");
    jw_object(w);
    jw_key_str(w, "_id", shown.id);
    jw_key_str(w, "type", shown.type);
    jw_key_str(w, "name", shown.name);
    jw_end(w);
    jw_key(w, "permissions");
    jw_array(w);
    jw_str(w, STR("repo.content.read"));
    if (scope->role >= ROLE_WRITE && actor->key_role >= ROLE_WRITE)
        jw_str(w, STR("repo.write"));
    jw_end(w);
    jw_end(w);
    return OK;
}

enum status key_access_token(struct db_conn *conn, struct arena *arena, const struct actor *actor,
                             struct json_writer *w, struct error *err)
{
    jw_object(w);
    jw_key_str(w, "displayName", actor->key_name);
    jw_key_str(w, "role", actor->is_scoped ? STR("fineGrained") : role_name(actor->key_role));
    jw_key_str(w, "createdAt", time_iso(arena, actor->key_created_us));
    jw_key_str(w, "expiresAt", time_iso(arena, actor->key_ends_us));
    if (actor->is_scoped) {
        jw_key(w, "fineGrained");
        jw_object(w);
        jw_key_bool(w, "canReadGatedRepos", true);
        jw_key(w, "global");
        jw_array(w);
        jw_end(w);
        jw_key(w, "scoped");
        jw_array(w);
        for (size_t i = 0; i < actor->scope_count; i++)
            TRY(write_scoped(conn, arena, actor, &actor->scopes[i], w, err));
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
    return OK;
}
