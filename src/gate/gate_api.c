/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The gate of a repo: its public face, its policy, its state. */
#include "base/text.h"
#include "base/time.h"
#include "gate/handlers.h"
#include "gate/review.h"
#include "grant/grant.h"
#include "terms/terms.h"

/* The public face. */

static void key_time(struct request *rq, struct json_writer *w, const char *key, int64_t us)
{
    if (us)
        jw_key_str(w, key, time_iso(rq->arena, us));
}

static void write_version(struct request *rq, const struct terms_version *version, struct json_writer *w)
{
    jw_key_int(w, "version", version->seq);
    jw_key_str(w, "change", str_of(version->change));
    jw_key_str(w, "summary", version->summary);
    key_time(rq, w, "effective", version->effective_us);
    jw_key(w, "texts");
    jw_array(w);
    for (size_t i = 0; i < version->text_count; i++) {
        jw_object(w);
        jw_key_str(w, "lang", version->texts[i].lang);
        jw_key_str(w, "sha256", version->texts[i].sha256);
        jw_key_int(w, "size", version->texts[i].size);
        jw_end(w);
    }
    jw_end(w);
}

static enum status write_terms(struct request *rq, const struct gate *gate, struct json_writer *w, struct error *err)
{
    struct terms_wanted *wanted = arena_array(rq->arena, TERMS_GATE_MOST, sizeof *wanted);
    size_t count;
    TRY(terms_wanted(rq->db, rq->arena, gate->id, now_us(), wanted, &count, err));
    jw_key(w, "terms");
    jw_array(w);
    for (size_t i = 0; i < count; i++) {
        jw_object(w);
        jw_key_str(w, "terms", wanted[i].name);
        jw_key_str(w, "kind", wanted[i].kind);
        write_version(rq, &wanted[i].now, w);
        if (wanted[i].next.id) {
            jw_key(w, "next");
            jw_object(w);
            write_version(rq, &wanted[i].next, w);
            jw_end(w);
        }
        jw_end(w);
    }
    jw_end(w);
    return OK;
}

static void write_territory(const struct gate_policy *policy, struct json_writer *w)
{
    if (!policy->has_territory)
        return;
    jw_key(w, "territory");
    jw_object(w);
    jw_key(w, policy->territory_allow ? "allow" : "deny");
    jw_array(w);
    for (size_t i = 0; i < policy->country_count; i++)
        jw_str(w, policy->countries[i]);
    jw_end(w);
    jw_end(w);
}

static void write_policy(struct request *rq, const struct gate *gate, const struct gate_policy *policy,
                         struct json_writer *w)
{
    auto_json json_t *document = NULL;
    jw_key_str(w, "mode", str_of(gate_mode_name(policy->mode)));
    jw_key_int(w, "risk", policy->risk);
    jw_key_str(w, "state", str_of(gate_state_name(gate->state)));
    key_time(rq, w, "opens", gate->opens_us);
    key_time(rq, w, "closes", gate->closes_us);
    jw_key_bool(w, "bindsMembers", gate->binds_members);
    jw_key_int(w, "grantDays", policy->grant_us / DAY_US);
    jw_key_int(w, "decisionSeconds", review_limit_us(policy->risk) / SECOND_US);
    write_territory(policy, w);
    jw_key(w, "form");
    jw_raw(w, policy->form.text.len ? policy->form.text : STR("{\"fields\":[]}"));
    jw_key_hex(w, "formSha256", policy->form.sha256, SHA256_SIZE);
    jw_key(w, "rubric");
    rubric_write(&policy->rubric, w);
    jw_key_int(w, "policySeq", gate->policy_seq);
    jw_key_hex(w, "policySha256", policy->sha256, SHA256_SIZE);
    if (json_read(policy->text, SIZE_MAX, &document, NULL) == OK) {
        jw_key(w, "policy");
        jw_value(w, document);
    }
}

/* What concerns the person who asks: where things stand, what is missing, what comes next. */

struct standing {
    struct grant grant;
    struct access_request request;
    bool has_grant, has_request, terms_missing;
    struct terms_standing terms;
};

static enum status find_standing(struct request *rq, const struct gate *gate, struct standing *out, struct error *err)
{
    int64_t account_id = rq->actor.account.id;
    enum status grant = grant_find(rq->db, rq->arena, gate->id, account_id, &out->grant, err);
    if (grant != OK && grant != NOT_FOUND)
        return grant;
    enum status request = request_find(rq->db, rq->arena, gate->id, account_id, (struct str){0}, &out->request, err);
    if (request != OK && request != NOT_FOUND)
        return request;
    out->has_grant = grant == OK;
    out->has_request = request == OK;
    TRY(terms_missing(rq->db, gate->id, account_id, now_us(), &out->terms_missing, err));
    return terms_reached(rq->db, gate->id, account_id, &out->terms, err);
}

static const struct machine_state *grant_shown(const struct standing *s, int64_t at_us)
{
    bool over = s->grant.expires_us && at_us >= s->grant.expires_us;
    return &grant_machine.states[over ? GRANT_EXPIRED : s->grant.state];
}

static const char *next_word(const struct standing *s, const struct gate *gate)
{
    static const char *const of_request[REQUEST_STATES] = {
        [REQUEST_DRAFT] = "submit",      [REQUEST_SCREENING] = "wait",   [REQUEST_VERIFY_WAIT] = "check",
        [REQUEST_IN_REVIEW] = "wait",    [REQUEST_INFO_WAIT] = "answer", [REQUEST_SECOND_REVIEW] = "wait",
        [REQUEST_ADJUDICATION] = "wait", [REQUEST_APPROVED] = "apply",   [REQUEST_REFUSED] = "appeal",
        [REQUEST_WITHDRAWN] = "apply",   [REQUEST_LAPSED] = "apply",     [REQUEST_VOID] = "apply",
    };
    bool open = s->has_request && s->request.state <= REQUEST_ADJUDICATION;
    if (s->terms_missing && (s->has_grant || open))
        return "accept";
    if (s->has_grant && s->grant.state != GRANT_SUSPENDED)
        return "download";
    if (!open && gate->state != GATE_OPEN)
        return "none";
    return s->has_request ? of_request[s->request.state] : "apply";
}

static int64_t deadline_of(const struct standing *s)
{
    if (s->terms_missing && s->has_grant && s->terms.due_us != INT64_MAX)
        return s->terms.due_us;
    if (s->has_grant)
        return s->grant.expires_us;
    return s->has_request && s->request.state <= REQUEST_ADJUDICATION ? s->request.due_us : 0;
}

static enum status write_you(struct request *rq, const struct gate *gate, struct json_writer *w, struct error *err)
{
    struct standing s = {0};
    TRY(find_standing(rq, gate, &s, err));
    const char *state = s.has_grant     ? grant_shown(&s, now_us())->name
                        : s.has_request ? request_machine.states[s.request.state].name
                                        : "none";
    jw_key(w, "you");
    jw_object(w);
    jw_key_str(w, "state", str_of(state));
    jw_key(w, "missing");
    jw_array(w);
    if (s.terms_missing)
        jw_str(w, STR("terms"));
    if (s.has_request && s.request.state == REQUEST_VERIFY_WAIT)
        jw_str(w, STR("check"));
    if (s.has_request && s.request.state == REQUEST_INFO_WAIT)
        jw_str(w, STR("answer"));
    jw_end(w);
    jw_key_str(w, "next", str_of(next_word(&s, gate)));
    key_time(rq, w, "deadline", deadline_of(&s));
    if (s.has_request)
        jw_key_int(w, "request", s.request.id);
    if (s.has_grant)
        jw_key_int(w, "grant", s.grant.id);
    jw_end(w);
    return OK;
}

enum status gate_write(struct request *rq, const struct gate *gate, bool you, struct json_writer *w, struct error *err)
{
    struct gate_policy policy;
    TRY(gate_policy_get(rq->db, rq->arena, gate, 0, &policy, err));
    jw_key_bool(w, "gated", true);
    write_policy(rq, gate, &policy, w);
    TRY(write_terms(rq, gate, w, err));
    jw_key(w, "review");
    TRY(review_describe(rq->db, rq->arena, gate->id, w, err));
    return you && rq->actor.account.id ? write_you(rq, gate, w, err) : OK;
}

static const char group_name_sql[] = "SELECT name FROM account WHERE id = ?";

/* GET /api/{api}/gate */
enum status gate_show(struct request *rq, struct error *err)
{
    auto_stmt struct stmt *name = NULL;
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct gate gate;
    enum status found = gate_of_repo(rq->db, rq->arena, rq->repo.id, &gate, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    jw_object(&w);
    if (found == NOT_FOUND)
        jw_key_bool(&w, "gated", false);
    else
        TRY(gate_write(rq, &gate, true, &w, err));
    if (found == OK && str_given(gate.slug)) {
        TRY(db_prepare(rq->db, group_name_sql, &name, err));
        stmt_bind_int(name, 1, gate.owner_id);
        if (stmt_next(name))
            jw_key_str(&w, "group",
                       arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(stmt_str(name, 0)), STR_ARG(gate.slug)));
        TRY(stmt_end(name, err));
    }
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* Changing. */

enum status gate_policy_body(struct request *rq, struct gate_policy *out, struct error *err)
{
    struct str text;
    TRY(request_body(rq, POLICY_LIMIT, &text, err));
    return policy_read(rq->arena, text, out, err);
}

enum status gate_state_read(struct request *rq, enum gate_state *out, struct error *err)
{
    static const char *const members[] = {"state", NULL};
    json_t *body;
    TRY(request_json(rq, 4096, &body, err));
    TRY(json_only(body, "The body", members, err));
    for (*out = GATE_OPEN; *out <= GATE_CLOSED; (*out)++)
        if (str_eq(json_get_str(body, "state"), str_of(gate_state_name(*out))))
            return OK;
    return fail(err, INVALID, NULL, "\"state\" must be one of open, paused, closed");
}

struct change {
    struct request *rq;
    const struct gate_policy *policy;
    enum gate_state state;
};

static enum status put_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct change *change = context;
    struct request *rq = change->rq;
    struct gate gate;
    int64_t by_id = rq->actor.account.id;
    enum status found = gate_of_repo(tx, rq->arena, rq->repo.id, &gate, err);
    if (found == OK && str_given(gate.slug))
        return fail(err, CONFLICT, "InGroup", "This repo is behind the gate of a group: change that one.");
    if (found == NOT_FOUND) {
        found = gate_of_home(tx, rq->arena, rq->repo.id, &gate, err);
        if (found == OK)
            TRY(gate_bind(tx, &gate, rq->repo.id, by_id, err));
    }
    if (found == NOT_FOUND)
        return gate_make(tx, rq->repo.owner_id, (struct str){0}, rq->repo.id, change->policy, by_id, &gate, err);
    TRY(found);
    return gate_set_policy(tx, &gate, change->policy, by_id, err);
}

static enum status reply_gate(struct request *rq, struct error *err)
{
    TRY(request_read(rq, err));
    return gate_show(rq, err);
}

/* PUT /api/{api}/gate */
enum status gate_put(struct request *rq, struct error *err)
{
    struct gate_policy policy;
    TRY(gate_policy_body(rq, &policy, err));
    struct change change = {.rq = rq, .policy = &policy};
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, put_in_write, &change, err));
    return reply_gate(rq, err);
}

static enum status state_in_write(struct db_conn *tx, void *context, struct error *err)
{
    struct change *change = context;
    struct request *rq = change->rq;
    struct gate gate;
    TRY(gate_of_repo(tx, rq->arena, rq->repo.id, &gate, err));
    if (str_given(gate.slug))
        return fail(err, CONFLICT, "InGroup", "This repo is behind the gate of a group: change that one.");
    return gate_set_state(tx, &gate, change->state, rq->actor.account.id, err);
}

/* POST /api/{api}/gate/state */
enum status gate_state_post(struct request *rq, struct error *err)
{
    struct change change = {.rq = rq};
    TRY(gate_state_read(rq, &change.state, err));
    request_done_reading(rq);
    TRY(db_write(rq->hub->db, state_in_write, &change, err));
    return reply_gate(rq, err);
}
