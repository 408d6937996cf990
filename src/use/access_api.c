/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/time.h"
#include "use/internal.h"

static void write_refusal(struct request *rq, const struct error *why, struct json_writer *w)
{
    jw_key_str(w, "reason", why->reason[0] ? str_of(why->reason) : str_of(why->code));
    jw_key_str(w, "message", str_of(why->message));
    if (why->next[0])
        jw_key_str(w, "next", arena_printf(rq->arena, "%.*s%s", STR_ARG(request_base_url(rq)), why->next));
    if (why->until_us)
        jw_key_str(w, "until", time_iso(rq->arena, why->until_us));
}

/* GET /api/{api}/access: what the door says to the caller about the repo's bytes, and why. */
enum status access_get(struct request *rq, struct error *err)
{
    struct access_object object = repo_access(&rq->repo);
    struct access_answer answer;
    struct error why = {0};
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    enum status status = access_explain(rq->db, &rq->actor, ACT_READ, &object, &answer, &why);
    if (status != OK && !why.reason[0] && status != FORBIDDEN && status != UNAUTHENTICATED) {
        *err = why;
        return status;
    }
    jw_object(&w);
    jw_key_bool(&w, "allowed", status == OK);
    jw_key_bool(&w, "gated", answer.gate_id != 0 || object.gated);
    if (status != OK)
        write_refusal(rq, &why, &w);
    if (answer.grant_id)
        jw_key_int(&w, "grant", answer.grant_id);
    if (answer.terms_due_us)
        jw_key_str(&w, "termsDue", time_iso(rq->arena, answer.terms_due_us));
    if (answer.slowed_until_us)
        jw_key_str(&w, "slowedUntil", time_iso(rq->arena, answer.slowed_until_us));
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}
