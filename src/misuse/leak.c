/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keys that somebody has found where they do not belong (access C13). */
#include "access/log.h"
#include "identity/key.h"
#include "misuse/cases.h"
#include "misuse/internal.h"
#include "notice/notice.h"

#define KEYS_MOST 100 /* in one report */

static enum status write_leak(struct db_conn *tx, void *context, struct error *err)
{
    struct key_leak *leak = context;
    auto_arena struct arena arena = {0};
    TRY(key_leak_find(tx, &arena, leak, err));
    if (!leak->key_id)
        return OK;
    /* First the case, while there is a key that it can be about: administrators are told by it. */
    if (!leak->old)
        TRY(cases_raise(tx, leak->account_id, leak->key_id, 1U << LEAK, err));
    TRY(key_leak_end(tx, &arena, leak, err));
    struct decision_made made = {.account_id = leak->account_id, .decision = "revoke", .basis = "rule"};
    TRY(access_log_decision(tx, &made, err));
    struct str text =
        arena_printf(&arena,
                     "%s \"%.*s\" was reported as found in public, and has ended. Make a new one, see where "
                     "it was kept, and look at GET /api/reads for what was fetched with it.",
                     leak->old ? "The former secret of your token" : "Your token", STR_ARG(leak->name));
    const struct notice notice = {.account_id = leak->account_id, .kind = "key.leaked", .text = text};
    TRY(notice_add(tx, &notice, err));
    if (!leak->old)
        return OK;
    text = arena_printf(
        &arena,
        "A former secret of key %lld was reported as found in public, and has ended. See whether it was used "
        "by others.",
        (long long)leak->key_id);
    return notice_board(tx, 0, "key.leaked", text, err);
}

/*
 * Whoever reports a key holds it, and could find out whether it works by using it; so the time that the answer takes tells nothing
 * that is worth hiding, and the key is dead before the answer.
 */
static enum status take(struct request *rq, struct str token, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct key_leak leak = {0};
    if (!key_is_ours(token))
        return OK;
    sha256(token, leak.digest);
    TRY(request_read(rq, err));
    TRY(key_leak_find(rq->db, &arena, &leak, err));
    request_done_reading(rq);
    return leak.key_id ? db_write(rq->hub->db, write_leak, &leak, err) : OK;
}

/*
 * POST /api/keys/leaked {"key"}, or as those who scan public code report: [{"token", "type", "url"}, …]. For anybody. The answer
 * is always the same: 202.
 */
enum status leaked_post(struct request *rq, struct error *err)
{
    auto_json json_t *body = NULL;
    struct str text;
    TRY(request_body(rq, BODY_LIMIT, &text, err));
    TRY(json_read(text, BODY_LIMIT, &body, err));
    size_t count = json_is_array(body) ? json_array_size(body) : 1;
    if (count > KEYS_MOST || (!json_is_array(body) && !str_given(json_get_str(body, "key"))))
        return fail(err, INVALID, NULL, "Send {\"key\": \"…\"}, or a list of at most %d {\"token\": \"…\"}.",
                    KEYS_MOST);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(body) ? json_array_get(body, i) : body;
        struct str token = json_get_str(one, json_is_array(body) ? "token" : "key");
        if (str_given(token))
            TRY(take(rq, token, err));
    }
    reply_bytes(rq->http, 202, STR("application/json; charset=utf-8"), STR("{}"));
    return OK;
}
