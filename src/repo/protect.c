/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "repo/protect.h"
#include "base/json.h"
#include "base/time.h"
#include "repo/internal.h"

/* Rules. */

static const char find_sql[] = "SELECT approvals, role, created_us FROM ref_rule WHERE repo_id = ? AND name = ?";

enum status rule_find(struct db_conn *conn, int64_t repo_id, struct str ref, struct ref_rule *out, bool *found,
                      struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    TRY(db_prepare(conn, find_sql, &find, err));
    stmt_bind_int(find, 1, repo_id);
    stmt_bind_str(find, 2, ref);
    *found = stmt_next(find);
    if (*found)
        *out = (struct ref_rule){ref, stmt_int(find, 0), (enum role)stmt_int(find, 1), stmt_int(find, 2)};
    return stmt_end(find, err);
}

static const char list_sql[] = "SELECT approvals, role, created_us, name FROM ref_rule WHERE repo_id = ? ORDER BY name";

enum status rule_list(struct db_conn *conn, struct arena *arena, int64_t repo_id, struct ref_rule **out, size_t *count,
                      struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    size_t capacity = 0;
    *out = NULL;
    *count = 0;
    TRY(db_prepare(conn, list_sql, &list, err));
    stmt_bind_int(list, 1, repo_id);
    while (stmt_next(list)) {
        *out = array_room(arena, *out, *count, &capacity, sizeof **out);
        (*out)[(*count)++] = (struct ref_rule){arena_copy(arena, stmt_str(list, 3)), stmt_int(list, 0),
                                               (enum role)stmt_int(list, 1), stmt_int(list, 2)};
    }
    return stmt_end(list, err);
}

struct rule_call {
    int64_t repo_id, by_id;
    struct ref_rule rule; /* approvals 0: none */
};

static enum status append_rule_event(struct db_conn *tx, const struct rule_call *call, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "ref", call->rule.ref);
    jw_key_int(&w, "approvals", call->rule.approvals);
    jw_key_str(&w, "role", role_name(call->rule.role));
    jw_end(&w);
    return repo_event_append(tx, EVENT_PROTECT, call->repo_id, call->by_id, &body, err);
}

static const char set_sql[] = "INSERT INTO ref_rule (repo_id, name, approvals, role, created_us) "
                              "VALUES (?, ?, ?, ?, ?) ON CONFLICT (repo_id, name) DO UPDATE SET "
                              "approvals = excluded.approvals, role = excluded.role";

static enum status set_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct rule_call *call = context;
    struct oid head;
    bool found;
    TRY(ref_commit(tx, call->repo_id, call->rule.ref, &head, &found, err));
    if (!found)
        return no_revision(err, call->rule.ref);
    auto_stmt struct stmt *set = NULL;
    TRY(db_prepare(tx, set_sql, &set, err));
    stmt_bind_int(set, 1, call->repo_id);
    stmt_bind_str(set, 2, call->rule.ref);
    stmt_bind_int(set, 3, call->rule.approvals);
    stmt_bind_int(set, 4, call->rule.role);
    stmt_bind_int(set, 5, now_us());
    TRY(stmt_run(set, err));
    return append_rule_event(tx, call, err);
}

enum status rule_set(struct db *db, int64_t repo_id, const struct ref_rule *rule, int64_t by_id, struct error *err)
{
    struct rule_call call = {repo_id, by_id, *rule};
    if (!str_starts(rule->ref, STR("refs/heads/")))
        return fail(err, INVALID, NULL, "Only a branch can be protected, and \"%.*s\" is none",
                    STR_ARG(str_slice(rule->ref, 0, 255)));
    if (rule->approvals < 1 || rule->approvals > APPROVALS_MOST)
        return fail(err, INVALID, NULL, "A rule asks for 1 to %d approvals", APPROVALS_MOST);
    if (rule->role < ROLE_READ || rule->role > ROLE_ADMIN)
        return fail(err, INVALID, NULL, "The role of those who approve must be one of [read, write, admin]");
    return db_write(db, set_in_write, &call, err);
}

static const char remove_sql[] = "DELETE FROM ref_rule WHERE repo_id = ? AND name = ?";

static enum status remove_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct rule_call *call = context;
    auto_stmt struct stmt *remove = NULL;
    TRY(db_prepare(tx, remove_sql, &remove, err));
    stmt_bind_int(remove, 1, call->repo_id);
    stmt_bind_str(remove, 2, call->rule.ref);
    TRY(stmt_run(remove, err));
    if (db_changes(tx) == 0)
        return fail(err, NOT_FOUND, NULL, "%.*s is not protected", STR_ARG(call->rule.ref));
    return append_rule_event(tx, call, err);
}

enum status rule_remove(struct db *db, int64_t repo_id, struct str ref, int64_t by_id, struct error *err)
{
    struct rule_call call = {repo_id, by_id, {.ref = ref}};
    return db_write(db, remove_in_write, &call, err);
}

/* Approvals. */

static const struct str decisions[] = {
    [DECISION_APPROVE] = {"approve", 7}, [DECISION_REJECT] = {"reject", 6}, [DECISION_WITHDRAW] = {"withdraw", 8}};

struct str decision_name(enum decision decision)
{
    return decisions[decision];
}

bool decision_parse(struct str name, enum decision *out)
{
    for (enum decision d = DECISION_APPROVE; d <= DECISION_WITHDRAW; d++)
        if (str_eq(name, decisions[d])) {
            *out = d;
            return true;
        }
    return false;
}

static const char put_sql[] = "INSERT INTO approval (repo_id, commit_oid, ref, account_id, decision, event_id, at_us) "
                              "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (repo_id, commit_oid, ref, account_id) DO "
                              "UPDATE SET decision = excluded.decision, "
                              "event_id = excluded.event_id, at_us = excluded.at_us";

enum status approval_put(struct db_conn *tx, int64_t repo_id, struct str ref, const struct oid *commit,
                         int64_t account_id, enum decision decision, int64_t event_id, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    TRY(commit_history(tx, repo_id, commit, NULL, err));
    TRY(db_prepare(tx, put_sql, &put, err));
    stmt_bind_int(put, 1, repo_id);
    stmt_bind_blob(put, 2, commit->bytes, sizeof commit->bytes);
    stmt_bind_str(put, 3, ref);
    stmt_bind_int(put, 4, account_id);
    stmt_bind_int(put, 5, decision);
    stmt_bind_int(put, 6, event_id);
    stmt_bind_int(put, 7, now_us());
    return stmt_run(put, err);
}

static bool is_author(const struct ahead *ahead, int64_t account)
{
    for (size_t i = 0; i < ahead->count; i++)
        if (ahead->authors[i] == account)
            return true;
    return false;
}

static const char said_sql[] = "SELECT account_id, decision, event_id FROM approval "
                               "WHERE repo_id = ? AND commit_oid = ? AND ref = ? ORDER BY event_id";

enum status approvals_count(struct db_conn *conn, struct arena *arena, int64_t repo_id, const struct ref_rule *rule,
                            const struct oid *commit, struct approvals *out, struct error *err)
{
    auto_stmt struct stmt *said = NULL;
    struct repo repo;
    struct oid base;
    struct ahead ahead;
    size_t capacity = 0;
    bool found;
    *out = (struct approvals){0};
    TRY(repo_get(conn, arena, repo_id, &repo, err));
    TRY(ref_commit(conn, repo_id, rule->ref, &base, &found, err));
    if (!found)
        return no_revision(err, rule->ref);
    TRY(commits_ahead(conn, arena, repo_id, &base, commit, &ahead, err));
    TRY(db_prepare(conn, said_sql, &said, err));
    stmt_bind_int(said, 1, repo_id);
    stmt_bind_blob(said, 2, commit->bytes, sizeof commit->bytes);
    stmt_bind_str(said, 3, rule->ref);
    while (stmt_next(said)) {
        int64_t account = stmt_int(said, 0), decision = stmt_int(said, 1);
        enum role role;
        TRY(account_role_in(conn, account, repo.owner_id, &role, err));
        if (role < rule->role || is_author(&ahead, account))
            continue;
        out->rejects += decision == DECISION_REJECT;
        if (decision != DECISION_APPROVE || ahead.has_unknown)
            continue;
        out->events = array_room(arena, out->events, (size_t)out->have, &capacity, sizeof *out->events);
        out->events[out->have++] = stmt_int(said, 2);
    }
    return stmt_end(said, err);
}

/* The guard. */

static enum status refuse(const struct ref_rule *rule, struct error *err)
{
    return fail(err, FORBIDDEN, NULL,
                "%.*s is protected: it moves only when a pull request is merged whose commit has %lld approval%s of "
                "people with role %.*s or more who did not make it, and this change has none. Send it as a pull "
                "request (create_pr=1), have it approved, and merge it.",
                STR_ARG(rule->ref), (long long)rule->approvals, rule->approvals == 1 ? "" : "s",
                STR_ARG(role_name(rule->role)));
}

static enum status refuse_merge(const struct ref_rule *rule, const struct oid *commit, const struct approvals *has,
                                struct error *err)
{
    auto_arena struct arena arena = {0};
    struct str id = oid_hex(&arena, commit);
    if (has->rejects)
        return fail(
            err, FORBIDDEN, NULL,
            "%.*s is protected, and commit %.*s was rejected by %lld of those who may approve it: it has %lld "
            "of the %lld approvals that it needs. Answer them with a new commit on the pull request, or have the "
            "rejection withdrawn.",
            STR_ARG(rule->ref), STR_ARG(id), (long long)has->rejects, (long long)has->have, (long long)rule->approvals);
    return fail(err, FORBIDDEN, NULL,
                "%.*s is protected, and commit %.*s has %lld of the %lld approvals that it needs. They are given for "
                "this very commit, by people with role %.*s or more who made no part of the pull request.",
                STR_ARG(rule->ref), STR_ARG(id), (long long)has->have, (long long)rule->approvals,
                STR_ARG(role_name(rule->role)));
}

enum status ref_guard(struct db_conn *tx, int64_t repo_id, struct str name, const struct oid *merge, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct ref_rule rule;
    struct approvals has;
    bool is_protected;
    TRY(rule_find(tx, repo_id, name, &rule, &is_protected, err));
    if (!is_protected)
        return OK;
    if (!merge)
        return refuse(&rule, err);
    TRY(approvals_count(tx, &arena, repo_id, &rule, merge, &has, err));
    return has.rejects == 0 && has.have >= rule.approvals ? OK : refuse_merge(&rule, merge, &has, err);
}
