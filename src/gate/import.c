/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Taking over a gate: each person is an event of the machines, so that it is decided, logged and told like any other. */
#include "gate/import.h"
#include "base/time.h"
#include "gate/internal.h"
#include "terms/terms.h"

#define BATCH 50 /* people in one write, which others wait for */

struct importing {
    const struct repo *repo;
    const struct import_file *file;
    struct import *how;
    size_t at; /* the first of this batch */
    int64_t counts[5];
    struct {
        const char *what, *why;
    } became[BATCH];
};
enum { ACCEPTED, PENDING, DRAFT, REJECTED, SKIPPED };
static const char *const kinds[] = {"accepted", "pending", "draft", "rejected", "skipped"};

/* The gate, and a form with the questions that the file answers where nothing else asks any. */

static void write_policy(const struct import_file *file, struct str terms, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key_str(&w, "mode", STR("manual"));
    if (str_given(terms)) {
        jw_key(&w, "terms");
        jw_array(&w);
        jw_str(&w, terms);
        jw_end(&w);
    }
    if (file->question_count) {
        jw_key(&w, "form");
        jw_array(&w);
        for (size_t i = 0; i < file->question_count; i++) {
            jw_object(&w);
            jw_key_str(&w, "name", file->questions[i]);
            jw_key_str(&w, "type", STR("longtext"));
            jw_end(&w);
        }
        jw_end(&w);
    }
    jw_end(&w);
}

static enum status find_or_make_gate(struct db_conn *tx, struct arena *arena, const struct importing *in,
                                     struct gate *out, struct error *err)
{
    auto_buf struct buf text = {0};
    struct gate_policy policy;
    struct str terms = {0};
    enum status found = gate_of_repo(tx, arena, in->repo->id, out, err);
    if (found == OK && str_given(out->slug))
        return fail(err, CONFLICT, "InGroup",
                    "This repo is behind the gate of a group, which others are asked at too.");
    if (found == NOT_FOUND) {
        found = gate_of_home(tx, arena, in->repo->id, out, err);
        if (found == OK)
            TRY(gate_bind(tx, out, in->repo->id, 0, err));
    }
    if (found == OK)
        return OK;
    if (found != NOT_FOUND)
        return found;
    if (str_given(in->how->terms)) {
        terms = arena_printf(arena, "%.*s-terms", STR_ARG(in->repo->full_name));
        TRY(terms_publish_text(tx, arena, in->repo->owner_id, terms, STR("aup"), STR("en"), in->how->terms, err));
    }
    write_policy(in->file, terms, &text);
    TRY(policy_read(arena, buf_view(&text), &policy, err));
    return gate_make(tx, in->repo->owner_id, (struct str){0}, in->repo->id, &policy, 0, out, err);
}

/* One person. */

static int skip(struct importing *in, size_t row, const char *why)
{
    in->became[row].why = why;
    return SKIPPED;
}

static bool same_person(const struct import *how, const struct import_person *person, const struct account *account)
{
    if (str_given(person->email) && person->email.len && str_given(account->email) && account->email.len)
        return str_eq_nocase(person->email, account->email);
    return how->trust_names;
}

/* They ask as the person would have; where a text has to be accepted first, the person finds a draft. */
static enum status ask_for(struct db_conn *tx, struct arena *arena, struct access_request *request, struct str answers,
                           bool *submitted, struct error *err)
{
    struct error why = {0};
    enum status status =
        request_do(tx, arena, request, REQUEST_SUBMIT, BY_HOLDER, request->applicant_id, STR(""), answers, &why);
    *submitted = status == OK;
    if (status == UNPROCESSABLE)
        return request_do(tx, arena, request, REQUEST_SAVE, BY_HOLDER, request->applicant_id, STR(""), answers, err);
    return status == OK ? OK : fail(err, status, why.code, "%s", why.message);
}

static enum status take_over(struct db_conn *tx, struct arena *arena, const struct gate *gate,
                             const struct import_person *person, int64_t account_id, int *became, struct error *err)
{
    struct access_request request = {
        .gate_id = gate->id, .applicant_id = account_id, .purpose = STR(""), .policy_seq = gate->policy_seq};
    bool submitted;
    TRY(request_open(tx, &request, err));
    if (person->timestamp.len)
        TRY(request_write(tx, &request, "imported", 0, person->timestamp, err));
    if (str_eq(person->status, STR("accepted"))) {
        *became = ACCEPTED;
        TRY(request_do(tx, arena, &request, REQUEST_SAVE, BY_HOLDER, account_id, STR(""), person->answers, err));
        return request_do(tx, arena, &request, REQUEST_ADD, BY_RULE, 0, STR("import"), STR(""), err);
    }
    TRY(ask_for(tx, arena, &request, person->answers, &submitted, err));
    bool rejected = submitted && str_eq(person->status, STR("rejected"));
    *became = rejected ? REJECTED : submitted ? PENDING : DRAFT;
    if (!rejected || request.state != REQUEST_IN_REVIEW)
        return OK;
    request.outcome = OUTCOME_REFUSE;
    return request_do(tx, arena, &request, REQUEST_VERDICT, BY_OWNER, 0, STR("import"),
                      STR("It was refused on the hub where this repo was before."), err);
}

static enum status import_one(struct db_conn *tx, struct arena *arena, struct importing *in, const struct gate *gate,
                              size_t row, int *became, struct error *err)
{
    const struct import_person *person = &in->file->people[in->at + row];
    struct account account;
    struct access_request known;
    enum status found = account_find(tx, arena, person->user, &account, err);
    if (found == NOT_FOUND || (found == OK && account.kind != ACCOUNT_USER)) {
        *became = skip(in, row, "nobody has this name here");
        return OK;
    }
    TRY(found);
    if (!same_person(in->how, person, &account)) {
        *became = skip(in, row, "the addresses do not show that this is the same person (see --trust-names)");
        return OK;
    }
    found = request_find(tx, arena, gate->id, account.id, (struct str){0}, &known, err);
    if (found == OK) {
        *became = skip(in, row, "there is a request of this person here already");
        return OK;
    }
    return found == NOT_FOUND ? take_over(tx, arena, gate, person, account.id, became, err) : found;
}

static enum status import_batch(struct db_conn *tx, void *context, struct error *err)
{
    struct importing *in = context;
    struct gate gate;
    for (size_t row = 0; row < BATCH && in->at + row < in->file->count; row++) {
        auto_arena struct arena arena = {0};
        int became = SKIPPED;
        TRY(find_or_make_gate(tx, &arena, in, &gate, err));
        TRY(import_one(tx, &arena, in, &gate, row, &became, err));
        in->became[row].what = kinds[became];
        in->counts[became]++;
    }
    /* What is undone has been tried in earnest. */
    return in->how->dry_run ? fail(err, STALE, "DryRun", "nothing is changed") : OK;
}

static void report_batch(const struct importing *in)
{
    for (size_t row = 0; row < BATCH && in->at + row < in->file->count; row++)
        in->how->report(in->how->context, in->file->people[in->at + row].user, in->became[row].what,
                        in->became[row].why);
}

enum status gate_import(struct db *db, const struct repo *repo, struct str file, struct import *how, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct import_file read;
    struct importing in = {.repo = repo, .file = &read, .how = how};
    TRY(import_read(&arena, file, &read, err));
    for (; in.at < read.count; in.at += BATCH) {
        memset(in.became, 0, sizeof in.became);
        enum status status = db_write(db, import_batch, &in, err);
        if (status != OK && !(how->dry_run && status == STALE && error_is(err, "DryRun")))
            return status;
        report_batch(&in);
    }
    how->accepted = in.counts[ACCEPTED];
    how->pending = in.counts[PENDING];
    how->drafts = in.counts[DRAFT];
    how->rejected = in.counts[REJECTED];
    how->skipped = in.counts[SKIPPED];
    return OK;
}
