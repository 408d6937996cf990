/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Signatures of models (OpenSSF Model Signing v1.0; provenance 2). The hub knows the SHA-256 of each file, so it can
 * write down what is to be signed, and check what was, without reading a model. People sign where their keys are; by
 * its own key the hub only says what it holds.
 */
#include "attest/hub_key.h"
#include "attest/internal.h"
#include "base/text.h"
#include "base/time.h"
#include "oms/bundle.h"
#include "tensor/tensors.h"

#define SIGNATURE_FILE STR("model.sig")
#define SIGNATURES_MOST 32 /* of one commit: each may have megabytes */
#define LINES_MOST 1000
#define BUNDLE_TYPE STR("application/vnd.dev.sigstore.bundle.v0.3+json")

/* What a revision holds. */
struct held {
    struct oid commit;
    struct manifest all;   /* as the log has it */
    struct manifest model; /* without the signature, which a repo may keep beside what it signs */
};

static enum status held_read(struct request *rq, struct str revision, struct held *out, struct error *err)
{
    struct revision found;
    struct manifest_rules rules;
    struct str own = SIGNATURE_FILE;
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, revision, &found, err));
    out->commit = found.commit;
    TRY(record_manifest_files(rq->db, rq->arena, rq->repo.id, &found.commit, &out->all, err));
    TRY(manifest_rules_make(rq->arena, &own, 1, &rules, err));
    return manifest_make(rq->arena, out->all.files, out->all.count, &rules, &out->model, err);
}

static void reply_signable(struct request *rq, const struct held *held, struct str type, struct buf *body)
{
    reply_header(rq->http, "X-Repo-Commit", "%.*s", STR_ARG(oid_hex(rq->arena, &held->commit)));
    reply_header(rq->http, "Cache-Control", "no-cache");
    reply_header(rq->http, "X-Content-Type-Options", "nosniff");
    reply_buf(rq->http, 200, type, body);
}

/* GET /api/{api}/oms/{rev}/statement: what is to be signed, or with ?pae=1 the exact bytes that the signature is over.
 */
enum status oms_statement_get(struct request *rq, struct error *err)
{
    auto_buf struct buf statement = {0}, pae = {0};
    struct held held;
    TRY(held_read(rq, rq->params[0], &held, err));
    TRY(oms_statement_write(rq->arena, &held.model, rq->repo.name, &statement, err));
    if (!request_query_true(rq, "pae")) {
        reply_signable(rq, &held, STR(INTOTO_MEDIA_TYPE), &statement);
        return OK;
    }
    dsse_pae(STR(INTOTO_MEDIA_TYPE), buf_view(&statement), &pae);
    reply_signable(rq, &held, STR("application/octet-stream"), &pae);
    return OK;
}

/* Checking. */

/* One bundle as it came: who brought it, and when. */
struct brought {
    struct arena *arena; /* for what is read from it: megabytes, and a list may have many */
    struct str bytes, hint;
    int64_t account_id, at_us;
};

struct checked {
    bool by_key;
    struct signer signer;            /* by_key */
    struct str subject, fingerprint; /* of the certificate, else */
};

/* The key must be one that the account has registered and not revoked. hint is for bundles from before they had one. */
static enum status check_key(struct request *rq, const struct oms_bundle *bundle, const struct brought *brought,
                             struct checked *out, struct oms_statement *statement, struct error *err)
{
    struct str name = str_given(bundle->hint) ? bundle->hint : brought->hint;
    auto_key EVP_PKEY *key = NULL;
    if (!str_given(name))
        return fail(
            err, INVALID, NULL,
            "The bundle does not say which key signed it. Add ?hint= with the SHA-256 of the public key's PEM text.");
    enum status status = signer_find(rq->db, brought->arena, name, &out->signer, err);
    if (status != OK && status != NOT_FOUND)
        return status;
    if (status == NOT_FOUND || out->signer.account_id != brought->account_id)
        return fail(
            err, FORBIDDEN, NULL,
            "The model was signed with a key that is not one of your signing keys here. Register its public key "
            "first (cairn attest key register), then send the signature again.");
    out->by_key = true;
    if (out->signer.revoked_us)
        return fail(err, FORBIDDEN, NULL, "The model was signed with a key that was revoked on %.*s.",
                    STR_ARG(time_iso(brought->arena, out->signer.revoked_us)));
    TRY(oms_key_read_public(out->signer.pem, &key, err));
    return oms_bundle_verify_key(brought->arena, bundle, key, statement, err);
}

static enum status check_chain(struct request *rq, const struct oms_bundle *bundle, const struct brought *brought,
                               struct checked *out, struct oms_statement *statement, struct error *err)
{
    struct chain_leaf leaf;
    struct str anchors = rq->hub->certificate_anchors;
    if (!str_given(anchors))
        return fail(err, UNPROCESSABLE, NULL,
                    "This hub accepts no signatures by certificate: its operator has named no certificates to trust "
                    "(cairn serve --certificate-anchors). Sign with a registered key instead.");
    TRY(oms_bundle_verify_chain(brought->arena, bundle, anchors, brought->at_us, &leaf, statement, err));
    oms_key_free(&leaf.key);
    out->subject = leaf.subject;
    out->fingerprint = leaf.fingerprint;
    return OK;
}

/*
 * Checks a bundle against what the revision holds: first the signature, then what it says. The signer's own rules to
 * leave files out do not count, as else a signature of the README alone would pass for one of the model; lines names
 * each file that differs.
 */
static enum status check(struct request *rq, const struct held *held, const struct brought *brought,
                         struct checked *out, struct buf *lines, struct error *err)
{
    struct oms_bundle bundle;
    struct oms_statement statement;
    const struct oms_found found = {.files = held->all.files, .count = held->all.count};
    *out = (struct checked){0};
    TRY(oms_bundle_read(brought->arena, brought->bytes, &bundle, err));
    if (bundle.method == OMS_BY_SIGSTORE)
        return fail(
            err, UNSUPPORTED, NULL,
            "Signatures by a Sigstore identity are not accepted. Sign with a registered key, or a certificate.");
    if (bundle.method == OMS_BY_KEY)
        TRY(check_key(rq, &bundle, brought, out, &statement, err));
    else
        TRY(check_chain(rq, &bundle, brought, out, &statement, err));
    statement.rules = held->model.rules;
    return oms_statement_compare(brought->arena, &statement, &found, lines, err);
}

/* Keeping. */

static const char known_sql[] =
    "SELECT (SELECT event_id FROM oms_signature WHERE repo_id = ? AND commit_oid = ? AND evidence = ?),"
    " (SELECT count(*) FROM oms_signature WHERE repo_id = ? AND commit_oid = ?)";

static const char add_sql[] = "INSERT INTO oms_signature (repo_id, commit_oid, account_id, evidence, event_id, at_us) "
                              "VALUES (?, ?, ?, ?, ?, ?)";

struct keeping {
    int64_t repo_id;
    const struct held *held;
    const struct brought *brought;
    const struct checked *checked;
    struct str evidence; /* in hex */
    uint8_t digest[SHA256_SIZE];
    bool has_tensor_root;
    struct tlog_hash tensor_root;
    bool known; /* the hub had it already */
    int64_t event_id;
};

static enum status find_known(struct db_conn *tx, struct keeping *keeping, struct error *err)
{
    auto_stmt struct stmt *find = NULL;
    const uint8_t *commit = keeping->held->commit.bytes;
    TRY(db_prepare(tx, known_sql, &find, err));
    stmt_bind_int(find, 1, keeping->repo_id);
    stmt_bind_blob(find, 2, commit, SHA1_SIZE);
    stmt_bind_blob(find, 3, keeping->digest, SHA256_SIZE);
    stmt_bind_int(find, 4, keeping->repo_id);
    stmt_bind_blob(find, 5, commit, SHA1_SIZE);
    keeping->known = stmt_next(find) && !stmt_is_null(find, 0);
    keeping->event_id = keeping->known ? stmt_int(find, 0) : 0;
    bool full = !keeping->known && stmt_int(find, 1) >= SIGNATURES_MOST;
    TRY(stmt_end(find, err));
    return full
               ? fail(err, CONFLICT, NULL, "This commit has %d signatures already, and takes no more.", SIGNATURES_MOST)
               : OK;
}

static enum status add_row(struct db_conn *tx, const struct keeping *keeping, struct error *err)
{
    auto_stmt struct stmt *add = NULL;
    TRY(db_prepare(tx, add_sql, &add, err));
    stmt_bind_int(add, 1, keeping->repo_id);
    stmt_bind_blob(add, 2, keeping->held->commit.bytes, SHA1_SIZE);
    stmt_bind_int(add, 3, keeping->brought->account_id);
    stmt_bind_blob(add, 4, keeping->digest, SHA256_SIZE);
    stmt_bind_int(add, 5, keeping->event_id);
    stmt_bind_int(add, 6, keeping->brought->at_us);
    return stmt_run(add, err);
}

/* A certificate says who signed, but not that this is the account that brought it: only a registered key makes the leaf
 * one that the account has signed. */
static enum status keep(struct db_conn *tx, void *context, struct error *err)
{
    struct keeping *keeping = context;
    const struct checked *checked = keeping->checked;
    uint8_t digest[SHA256_SIZE];
    TRY(find_known(tx, keeping, err));
    if (keeping->known)
        return OK;
    if (checked->by_key)
        TRY(signer_still(tx, &checked->signer, err));
    TRY(evidence_put(tx, keeping->repo_id, keeping->brought->account_id, keeping->brought->bytes, digest, err));
    struct record_manifest_event event = {.repo_id = keeping->repo_id,
                                          .commit = &keeping->held->commit,
                                          .manifest = &keeping->held->all,
                                          .tensor_root = keeping->has_tensor_root ? &keeping->tensor_root : NULL,
                                          .actor_id = keeping->brought->account_id,
                                          .evidence = keeping->evidence,
                                          .is_signed = checked->by_key};
    TRY(record_manifest_append(tx, &event, err));
    keeping->event_id = db_last_id(tx);
    return add_row(tx, keeping, err);
}

/* Telling. */

static void write_signer(struct json_writer *w, const struct checked *checked)
{
    jw_key_str(w, "method", checked->by_key ? STR("key") : STR("certificate"));
    if (checked->by_key) {
        jw_key_str(w, "hint", checked->signer.hint);
        return;
    }
    jw_key_str(w, "subject", checked->subject);
    jw_key_str(w, "fingerprint", checked->fingerprint);
}

/* The error of a comparison, with a line for each file. */
static void reply_differences(struct request *rq, const struct error *why, const struct buf *lines)
{
    auto_buf struct buf body = {0};
    struct str rest = buf_view(lines), line;
    struct json_writer w = jw_to(&body);
    reply_header(rq->http, "X-Error-Message", "%s", why->message);
    jw_object(&w);
    jw_key_str(&w, "error", str_of(why->message));
    jw_key(&w, "files");
    jw_array(&w);
    for (size_t i = 0; i < LINES_MOST && str_cut(&rest, '\n', &line) && line.len > 0; i++)
        jw_str(&w, line);
    jw_end(&w);
    jw_end(&w);
    reply_buf(rq->http, status_http(why->status), STR("application/json; charset=utf-8"), &body);
}

static enum status reply_kept(struct request *rq, const struct keeping *keeping, struct error *err)
{
    auto_buf struct buf body = {0};
    uint64_t index;
    struct json_writer w = jw_to(&body);
    TRY(request_read(rq, err));
    TRY(prov_event_leaf(rq->db, keeping->event_id, &index, err));
    jw_object(&w);
    jw_key_int(&w, "index", (int64_t)index);
    jw_key_str(&w, "evidence", keeping->evidence);
    jw_key_str(&w, "commit", oid_hex(rq->arena, &keeping->held->commit));
    jw_key_str(&w, "account", rq->actor.account.name);
    write_signer(&w, keeping->checked);
    jw_end(&w);
    reply_header(rq->http, "X-Prov-Index", "%llu", (unsigned long long)index);
    reply_buf(rq->http, keeping->known ? 200 : 201, STR("application/json; charset=utf-8"), &body);
    return OK;
}

/* The leaf of the signature is the commit's manifest, which there is one of: without the tensorRoot there would be none for good. */
static enum status tensor_root_of(struct request *rq, struct keeping *keeping, struct error *err)
{
    const struct oid *commit = &keeping->held->commit;
    bool pending;
    TRY(tensors_root(rq->hub, rq->repo.id, commit, &pending, &keeping->has_tensor_root, &keeping->tensor_root, err));
    if (!pending)
        return OK;
    TRY(tensors_await(rq->hub, rq->repo.id, err));
    TRY(tensors_root(rq->hub, rq->repo.id, commit, &pending, &keeping->has_tensor_root, &keeping->tensor_root, err));
    return pending
               ? fail(err, UNAVAILABLE, RECORD_WAITS_FOR_TENSORS,
                      "The signature is right, but goes into the log with the revision's tensors, and the hub is still "
                      "looking at those. Send it again in a moment.")
               : OK;
}

/* POST /api/{api}/oms/{rev}: a bundle that was signed elsewhere. 200 when the hub had it already. */
enum status oms_post(struct request *rq, struct error *err)
{
    auto_buf struct buf lines = {0};
    struct held held;
    struct checked checked;
    struct brought brought = {.arena = rq->arena,
                              .hint = request_query(rq, "hint", 0),
                              .account_id = rq->actor.account.id,
                              .at_us = now_us()};
    TRY(request_body(rq, OMS_BUNDLE_MOST, &brought.bytes, err));
    TRY(held_read(rq, rq->params[0], &held, err));
    enum status status = check(rq, &held, &brought, &checked, &lines, err);
    if (status != OK && lines.len > 0) {
        reply_differences(rq, err, &lines);
        return OK;
    }
    TRY(status);
    struct keeping keeping = {.repo_id = rq->repo.id, .held = &held, .brought = &brought, .checked = &checked};
    sha256(brought.bytes, keeping.digest);
    keeping.evidence = hex_encode(rq->arena, keeping.digest, SHA256_SIZE);
    request_done_reading(rq);
    TRY(tensor_root_of(rq, &keeping, err));
    TRY(db_write(rq->hub->db, keep, &keeping, err));
    return reply_kept(rq, &keeping, err);
}

/* Showing. */

static const char list_sql[] = "SELECT account_id, evidence, event_id, at_us FROM oms_signature "
                               "WHERE repo_id = ? AND commit_oid = ? ORDER BY id DESC";

struct kept {
    int64_t account_id, event_id, at_us;
    uint8_t evidence[SHA256_SIZE];
};

/* Newest first; out has room for SIGNATURES_MOST. */
static enum status kept_list(struct request *rq, const struct oid *commit, struct kept *out, size_t *count,
                             struct error *err)
{
    auto_stmt struct stmt *list = NULL;
    TRY(db_prepare(rq->db, list_sql, &list, err));
    stmt_bind_int(list, 1, rq->repo.id);
    stmt_bind_blob(list, 2, commit->bytes, SHA1_SIZE);
    for (*count = 0; *count < SIGNATURES_MOST && stmt_next(list); ++*count) {
        struct kept *kept = &out[*count];
        kept->account_id = stmt_int(list, 0);
        memcpy(kept->evidence, stmt_str(list, 1).data, SHA256_SIZE);
        kept->event_id = stmt_int(list, 2);
        kept->at_us = stmt_int(list, 3);
    }
    return stmt_end(list, err);
}

/* Checks again what is kept: its key may have been revoked since. A certificate must have been valid when it was
 * logged. */
static enum status check_again(struct request *rq, struct arena *arena, const struct held *held,
                               const struct kept *kept, struct str *bytes, struct checked *checked, struct error *err)
{
    auto_buf struct buf lines = {0};
    struct brought brought = {.arena = arena, .account_id = kept->account_id, .at_us = kept->at_us};
    *checked = (struct checked){0};
    TRY(evidence_get(rq->db, arena, rq->repo.id, kept->evidence, &brought.bytes, err));
    *bytes = brought.bytes;
    return check(rq, held, &brought, checked, &lines, err);
}

static enum status write_kept(struct request *rq, struct json_writer *w, const struct held *held,
                              const struct kept *kept, struct error *err)
{
    auto_arena struct arena arena = {0};
    struct checked checked;
    struct account account = {0};
    struct error why = {0};
    struct str bytes;
    uint64_t index;
    enum status logged = prov_event_leaf(rq->db, kept->event_id, &index, err);
    if (logged == NOT_FOUND)
        return OK; /* it is in a log that is over (record_begin_anew()) */
    TRY(logged);
    enum status found = account_get(rq->db, rq->arena, kept->account_id, &account, err);
    if (found != OK && found != NOT_FOUND)
        return found;
    bool verified = check_again(rq, &arena, held, kept, &bytes, &checked, &why) == OK;
    jw_object(w);
    jw_key_int(w, "index", (int64_t)index);
    jw_key_str(w, "evidence", hex_encode(rq->arena, kept->evidence, SHA256_SIZE));
    jw_key_str(w, "at", time_iso(rq->arena, kept->at_us));
    jw_key_str(w, "account", account.name);
    if (checked.by_key || str_given(checked.subject))
        write_signer(w, &checked);
    jw_key_bool(w, "verified", verified);
    if (!verified)
        jw_key_str(w, "reason", str_of(why.message));
    jw_end(w);
    return OK;
}

/* GET /api/{api}/oms/{rev}: who has signed what the revision holds, newest first, each checked now. */
enum status oms_list(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct held held;
    struct kept kept[SIGNATURES_MOST];
    size_t count;
    TRY(held_read(rq, rq->params[0], &held, err));
    TRY(kept_list(rq, &held.commit, kept, &count, err));
    struct json_writer w = jw_to(&body);
    jw_object(&w);
    jw_key_str(&w, "commit", oid_hex(rq->arena, &held.commit));
    jw_key_int(&w, "files", (int64_t)held.all.count);
    jw_key_int(&w, "bytes", held.all.bytes);
    jw_key_str(&w, "dirHash1", hex_encode(rq->arena, held.all.dir_hash, SHA256_SIZE));
    jw_key(&w, "signatures");
    jw_array(&w);
    for (size_t i = 0; i < count; i++)
        TRY(write_kept(rq, &w, &held, &kept[i], err));
    jw_end(&w);
    jw_end(&w);
    request_reply_json(rq, &body);
    return OK;
}

/* The hub's own word for what it holds, made anew for each who asks. */
static enum status reply_by_hub(struct request *rq, const struct held *held, struct error *err)
{
    auto_buf struct buf statement = {0}, text = {0};
    struct oms_bundle bundle = {.method = OMS_BY_KEY, .hint = hub_key_hint(rq->hub->hub_key)};
    TRY(oms_statement_write(rq->arena, &held->model, rq->repo.name, &statement, err));
    TRY(hub_sign(rq->hub, rq->arena, STR(INTOTO_MEDIA_TYPE), buf_view(&statement), &bundle.envelope, err));
    bundle.envelope.signatures[0].keyid = STR(""); /* as the reference tool has it */
    TRY(oms_bundle_write(rq->arena, &bundle, &text, err));
    reply_signable(rq, held, BUNDLE_TYPE, &text);
    return OK;
}

static enum status nobody_signed(struct request *rq, struct error *err)
{
    struct str base = request_base_url(rq);
    return fail(
        err, NOT_FOUND, NULL,
        "Nobody has signed this revision with a key or certificate that counts today. Who may write to the repo "
        "can sign it: cairn sign --hub %.*s --type %.*s --repo %.*s --key key.pem. Add ?by=hub for a signature "
        "by the hub itself, which only says that these are its bytes.",
        STR_ARG(base), STR_ARG(repo_kind_name(rq->repo.kind)), STR_ARG(rq->repo.full_name));
}

/* GET /api/{api}/provenance/{rev}.sig: the newest signature that still verifies, as it was sent. */
enum status oms_bundle_get(struct request *rq, struct error *err)
{
    struct held held;
    struct kept kept[SIGNATURES_MOST];
    struct checked checked;
    struct str by = request_query(rq, "by", 0), bytes;
    size_t count;
    uint64_t index;
    if (str_given(by) && !str_eq(by, STR("hub")))
        return fail(err, INVALID, NULL,
                    "by can only be \"hub\"; without it, the newest signature of an author is meant.");
    TRY(held_read(rq, rq->params[0], &held, err));
    if (str_given(by))
        return reply_by_hub(rq, &held, err);
    TRY(kept_list(rq, &held.commit, kept, &count, err));
    for (size_t i = 0; i < count; i++) {
        auto_arena struct arena arena = {0};
        if (check_again(rq, &arena, &held, &kept[i], &bytes, &checked, NULL) != OK)
            continue;
        auto_buf struct buf body = {0};
        TRY(prov_event_leaf(rq->db, kept[i].event_id, &index, err));
        reply_header(rq->http, "X-Prov-Index", "%llu", (unsigned long long)index);
        buf_str(&body, bytes);
        reply_signable(rq, &held, BUNDLE_TYPE, &body);
        return OK;
    }
    return nobody_signed(rq, err);
}
