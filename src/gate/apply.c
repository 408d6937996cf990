/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From what somebody sends to a request: reading it, and doing what fits. */
#include "gate/apply.h"
#include "base/text.h"
#include "base/time.h"
#include "grant/grant.h"
#include "quota/quota.h"
#include "terms/terms.h"

#define TEXT_LIMIT 20000

enum status application_read(struct arena *arena, const json_t *body, struct application *out, struct error *err)
{
    static const char *const members[] = {"purpose", "answers", "terms",  "members", "draft", "form",
                                          "renew",   "changed", "attest", "method",  NULL};
    struct str method = json_get_str(body, "method");
    *out = (struct application){.method = str_eq(method, STR("cli")) ? "cli" : "api"};
    TRY(json_only(body, "A request for access", members, err));
    if (json_object_get(body, "method") && !str_eq(method, STR("cli")) && !str_eq(method, STR("api")))
        return fail(err, INVALID, NULL, "\"method\", how the texts were shown, must be api or cli");
    TRY(json_text(body, "purpose", 128, &out->purpose, err));
    TRY(json_text(body, "changed", TEXT_LIMIT, &out->changed, err));
    TRY(json_text(body, "form", 2 * SHA256_SIZE, &out->form_sha256, err));
    TRY(json_flag(body, "draft", &out->draft, err));
    TRY(json_flag(body, "renew", &out->renew, err));
    TRY(json_lines(arena, body, "members", MEMBERS_MOST, &out->members, &out->member_count, err));
    out->answers = json_object_get(body, "answers");
    out->terms = json_object_get(body, "terms");
    out->attest = json_object_get(body, "attest");
    return OK;
}

struct applying {
    struct db_conn *tx;
    struct arena *arena;
    const struct application *how;
    struct gate gate;
    struct gate_policy policy;
    struct access_request *request;
    struct str answers; /* checked, as text */
};

/* The answers that count: those sent, else those of the draft, or of the request that is renewed. */
static enum status check_answers(struct applying *a, int64_t earlier_id, struct error *err)
{
    auto_json json_t *earlier = NULL;
    if (!a->how->answers && earlier_id)
        TRY(request_answers(a->tx, earlier_id, &earlier, err));
    const json_t *answers = a->how->answers ? a->how->answers : earlier;
    return form_check(a->arena, &a->policy.form, answers, !a->how->draft, &a->answers, err);
}

static enum status check_form(struct applying *a, struct error *err)
{
    struct str now = hex_encode(a->arena, a->policy.form.sha256, SHA256_SIZE);
    if (str_given(a->how->form_sha256) && !str_eq_nocase(a->how->form_sha256, now))
        return fail(err, STALE, "FormMoved", "The form has changed since you read it. Get it again.");
    return OK;
}

static enum status accept_terms(struct applying *a, struct error *err)
{
    struct terms_acceptance acceptance = {
        .account_id = a->how->account_id,
        .gate_id = a->gate.id,
        .request_id = a->request->id,
        .method = a->how->method,
        .accepted = a->how->terms,
    };
    return a->how->terms && json_array_size(a->how->terms) ? terms_accept(a->tx, &acceptance, err) : OK;
}

static const char member_sql[] =
    "INSERT INTO access_request_member (request_id, account_id, state, at_us) VALUES (?, ?, 0, ?) "
    "ON CONFLICT DO NOTHING";

/* Each is asked, and gets a grant of the own account only after saying yes. */
static enum status invite(struct applying *a, struct str name, struct error *err)
{
    auto_stmt struct stmt *put = NULL;
    struct account member;
    enum status found = account_find(a->tx, a->arena, name, &member, err);
    if (found == NOT_FOUND || (found == OK && member.kind != ACCOUNT_USER))
        return fail(err, INVALID, "NoMember", "\"%.*s\", whom you name as a member, is nobody on this hub.",
                    STR_ARG(str_slice(name, 0, 100)));
    TRY(found);
    if (member.id == a->how->account_id)
        return OK;
    TRY(db_prepare(a->tx, member_sql, &put, err));
    stmt_bind_int(put, 1, a->request->id);
    stmt_bind_int(put, 2, member.id);
    stmt_bind_int(put, 3, now_us());
    TRY(stmt_run(put, err));
    return db_changes(a->tx) ? tell_member(a->tx, a->arena, &a->gate, a->how->account_name, member.id, err) : OK;
}

static enum status invite_all(struct applying *a, struct error *err)
{
    for (size_t i = 0; i < a->how->member_count; i++)
        TRY(invite(a, a->how->members[i], err));
    return OK;
}

static enum status do_event(struct applying *a, enum request_event event, enum mover by, struct error *err)
{
    return request_do(a->tx, a->arena, a->request, event, by, a->how->account_id, STR(""), a->answers, err);
}

static enum status open_draft(struct applying *a, int64_t renews_id, struct error *err)
{
    *a->request = (struct access_request){
        .gate_id = a->gate.id,
        .applicant_id = a->how->account_id,
        .purpose = str_given(a->how->purpose) ? a->how->purpose : STR(""),
        .policy_seq = a->gate.policy_seq,
        .renews_id = renews_id,
    };
    return request_open(a->tx, a->request, err);
}

static enum status submit(struct applying *a, struct error *err)
{
    TRY(invite_all(a, err));
    if (a->how->draft)
        return do_event(a, REQUEST_SAVE, BY_HOLDER, err);
    TRY(accept_terms(a, err));
    return do_event(a, REQUEST_SUBMIT, BY_HOLDER, err);
}

/* Renewal (C6). */

static const char renewable_sql[] =
    "SELECT id, state, expires_us, request_id FROM access_grant "
    "WHERE gate_id = ? AND account_id = ? AND purpose = ? AND state IN (1, 2, 4) ORDER BY id DESC LIMIT 1";

static enum status find_renewable(struct applying *a, int64_t *grant_id, int64_t *request_id, struct error *err)
{
    auto_stmt struct stmt *row = NULL;
    int64_t now = now_us(), expires = 0;
    TRY(db_prepare(a->tx, renewable_sql, &row, err));
    stmt_bind_int(row, 1, a->gate.id);
    stmt_bind_int(row, 2, a->how->account_id);
    stmt_bind_str(row, 3, str_given(a->how->purpose) ? a->how->purpose : STR(""));
    *grant_id = 0;
    if (stmt_next(row)) {
        *grant_id = stmt_int(row, 0);
        expires = stmt_int(row, 2);
        *request_id = stmt_int(row, 3);
    }
    TRY(stmt_end(row, err));
    if (!*grant_id)
        return fail(err, CONFLICT, "NothingToRenew", "You have no access here that could be renewed. Ask for it anew.");
    if (!expires)
        return fail(err, CONFLICT, "NothingToRenew", "Your access has no end, so there is nothing to renew.");
    if (now < expires - a->policy.renew_us)
        return fail(err, UNPROCESSABLE, "RenewTooEarly", "You can renew from %.*s on; your access ends on %.*s.",
                    STR_ARG(time_iso(a->arena, expires - a->policy.renew_us)), STR_ARG(time_iso(a->arena, expires)));
    if (now >= expires + a->policy.renew_us)
        return fail(err, UNPROCESSABLE, "RenewalOver",
                    "Your access ended on %.*s, too long ago to renew it. Ask for it anew, without \"renew\".",
                    STR_ARG(time_iso(a->arena, expires)));
    return OK;
}

static enum status read_attest(struct applying *a, struct str *out, struct error *err)
{
    static const char *const members[] = {"samePurpose", "copies", "incidents", NULL};
    const json_t *attest = a->how->attest;
    auto_buf struct buf text = {0};
    struct str copies, incidents;
    bool same = false;
    *out = (struct str){0};
    if (!attest && a->policy.risk < 2)
        return OK;
    if (!attest)
        return fail(err, INVALID, "AttestMissing",
                    "Renewal takes \"attest\" here: {\"samePurpose\": true, \"copies\": who else has copies, "
                    "\"incidents\": what has happened}; \"\" for nobody and nothing.");
    TRY(json_only(attest, "\"attest\"", members, err));
    TRY(json_flag(attest, "samePurpose", &same, err));
    TRY(json_text(attest, "copies", TEXT_LIMIT, &copies, err));
    TRY(json_text(attest, "incidents", TEXT_LIMIT, &incidents, err));
    if (json_object_size(attest) != 3)
        return fail(err, INVALID, "AttestMissing", "\"attest\" needs samePurpose, copies and incidents.");
    json_dump(attest, &text);
    *out = arena_copy(a->arena, buf_view(&text));
    /* Whoever has had an incident, or another purpose, is looked at by people. */
    return OK;
}

static bool attests_change(const struct applying *a)
{
    return a->how->changed.len || (a->how->attest && (!json_get_bool(a->how->attest, "samePurpose", false) ||
                                                      json_get_str(a->how->attest, "incidents").len));
}

static enum status renew(struct applying *a, struct error *err)
{
    int64_t grant_id, earlier_id = 0;
    struct str attest;
    TRY(find_renewable(a, &grant_id, &earlier_id, err));
    TRY(check_answers(a, earlier_id, err));
    TRY(read_attest(a, &attest, err));
    TRY(open_draft(a, grant_id, err));
    if (str_given(attest))
        TRY(request_write(a->tx, a->request, "attest", a->how->account_id, attest, err));
    if (attests_change(a))
        TRY(request_write(a->tx, a->request, "changed", a->how->account_id,
                          a->how->changed.len ? a->how->changed : STR("see the attestation"), err));
    return submit(a, err);
}

/* Whatever fits. */

static enum status already_open(const struct access_request *request, struct error *err)
{
    return fail(err, CONFLICT, "OpenRequest",
                "You have asked for this already: your request is %s. Look at it with GET .../access-request.",
                request_machine.states[request->state].shown);
}

static enum status apply(struct applying *a, struct error *err)
{
    struct str purpose = str_given(a->how->purpose) ? a->how->purpose : STR("");
    enum status found = request_find(a->tx, a->arena, a->gate.id, a->how->account_id, purpose, a->request, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    enum request_state state = found == OK ? a->request->state : REQUEST_VOID;
    if (state <= REQUEST_ADJUDICATION && (state != REQUEST_DRAFT || a->how->renew))
        return already_open(a->request, err);
    if (a->how->renew)
        return renew(a, err);
    TRY(check_answers(a, state == REQUEST_DRAFT || state == REQUEST_REFUSED ? a->request->id : 0, err));
    if (state == REQUEST_REFUSED && !a->how->draft) {
        TRY(invite_all(a, err));
        TRY(accept_terms(a, err));
        return do_event(a, REQUEST_REAPPLY, BY_RULE, err);
    }
    if (state != REQUEST_DRAFT)
        TRY(open_draft(a, 0, err));
    return submit(a, err);
}

/*
 * How many requests of one person may be open at once, drafts included (C12, gate.request.open). We are in the write that opens one,
 * so that no two take the last place; what is decided in the same write, as at a gate by click, was never open.
 */
static enum status apply_limited(struct applying *a, struct error *err)
{
    struct quota_use before, after;
    struct error full = {0};
    int64_t person = a->how->account_id;
    TRY(quota_used(a->tx, person, UNIT_REQUESTS, 0, &before, err));
    enum status room = quota_room(a->tx, person, 0, UNIT_REQUESTS, 1, &full);
    TRY(apply(a, err));
    if (room == OK)
        return OK;
    TRY(quota_used(a->tx, person, UNIT_REQUESTS, 0, &after, err));
    return after.used > before.used ? fail(err, room, full.code, "%s", full.message) : OK;
}

enum status application_apply(struct db_conn *tx, struct arena *arena, const struct application *how,
                              struct access_request *out, struct error *err)
{
    struct applying a = {.tx = tx, .arena = arena, .how = how, .request = out};
    TRY(gate_of_repo(tx, arena, how->repo_id, &a.gate, err));
    TRY(gate_policy_get(tx, arena, &a.gate, 0, &a.policy, err));
    TRY(check_form(&a, err));
    return apply_limited(&a, err);
}
