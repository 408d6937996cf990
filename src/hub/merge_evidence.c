/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "hub/merge_evidence.h"
#include "attest/hub_key.h"
#include "base/text.h"
#include "base/time.h"
#include "hub/handlers.h"
#include "oms/intoto.h"
#include "prov/find.h"

#define PREDICATE_TYPE "https://slsa.dev/verification_summary/v1"

static void write_digest(struct json_writer *w, struct str sha256_hex)
{
    jw_key(w, "digest");
    jw_object(w);
    jw_key_str(w, "sha256", sha256_hex);
    jw_end(w);
}

static void write_policy(struct json_writer *w, struct arena *arena, struct str api, const struct ref_rule *rule)
{
    auto_buf struct buf text = {0};
    uint8_t digest[SHA256_SIZE];
    struct json_writer policy = jw_to(&text);
    jw_object(&policy);
    jw_key_int(&policy, "approvals", rule->approvals);
    jw_key_str(&policy, "ref", rule->ref);
    jw_key_str(&policy, "role", role_name(rule->role));
    jw_end(&policy);
    sha256(buf_view(&text), digest);

    jw_key(w, "policy");
    jw_object(w);
    jw_key_str(w, "uri", arena_printf(arena, "%.*s/rules", STR_ARG(api)));
    write_digest(w, hex_encode(arena, digest, sizeof digest));
    jw_key_int(w, "cairn_approvals", rule->approvals);
    jw_key_str(w, "cairn_role", role_name(rule->role));
    jw_end(w);
}

/* An approval that counts is committed, and so is its leaf, which never changes its place. */
static enum status write_approval(struct json_writer *w, struct request *rq, struct str api, int64_t event_id,
                                  struct error *err)
{
    struct prov_entry entry;
    auto_json json_t *body = NULL;
    uint64_t index;
    TRY(prov_event_leaf(rq->db, event_id, &index, err));
    TRY(prov_entry_at(rq->db, rq->arena, rq->repo.id, index, &entry, err));
    TRY(json_read(entry.body, entry.body.len, &body, err));
    struct str evidence = json_get_str(body, "evidence");
    if (!str_given(evidence))
        return fail(err, CORRUPT, NULL, "Entry %llu of the log is not the approval that it should be",
                    (unsigned long long)index);
    jw_object(w);
    jw_key_str(w, "uri", arena_printf(rq->arena, "%.*s/evidence/%.*s", STR_ARG(api), STR_ARG(evidence)));
    write_digest(w, evidence);
    jw_key_int(w, "cairn_leaf", (int64_t)index);
    jw_end(w);
    return OK;
}

static enum status write_predicate(struct request *rq, const struct merge *merge, struct buf *out, struct error *err)
{
    struct str base = request_base_url(rq), plural = repo_kind_plural(rq->repo.kind), name = rq->repo.full_name;
    struct str api = arena_printf(rq->arena, "%.*s/api/%.*s/%.*s", STR_ARG(base), STR_ARG(plural), STR_ARG(name));
    struct str url = repo_url(rq, rq->repo.kind, name);
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key(&w, "verifier");
    jw_object(&w);
    jw_key_str(&w, "id", base);
    jw_end(&w);
    jw_key_str(&w, "timeVerified", time_iso(rq->arena, now_us()));
    jw_key_str(&w, "resourceUri", arena_printf(rq->arena, "git+%.*s@%.*s", STR_ARG(url), STR_ARG(merge->rule.ref)));
    write_policy(&w, rq->arena, api, &merge->rule);
    jw_key(&w, "inputAttestations");
    jw_array(&w);
    for (int64_t i = 0; i < merge->approvals.have; i++)
        TRY(write_approval(&w, rq, api, merge->approvals.events[i], err));
    jw_end(&w);
    jw_key_str(&w, "verificationResult", STR("PASSED"));
    jw_key(&w, "verifiedLevels");
    jw_array(&w);
    jw_str(&w, arena_printf(rq->arena, "CAIRN_APPROVALS_%lld", (long long)merge->approvals.have));
    jw_end(&w);
    jw_key_str(&w, "slsaVersion", STR("1.0"));
    jw_end(&w);
    return OK;
}

enum status merge_evidence(struct request *rq, const struct merge *merge, struct str *envelope, struct error *err)
{
    auto_buf struct buf predicate = {0}, statement = {0}, text = {0};
    const struct intoto_subject subject = {rq->repo.full_name, "gitCommit", oid_hex(rq->arena, &merge->pull.head)};
    struct dsse_envelope signed_;
    TRY(write_predicate(rq, merge, &predicate, err));
    intoto_write(&statement, PREDICATE_TYPE, &subject, 1, buf_view(&predicate));
    TRY(hub_sign(rq->hub, rq->arena, STR(INTOTO_MEDIA_TYPE), buf_view(&statement), &signed_, err));
    struct json_writer w = jw_to(&text);
    dsse_write(rq->arena, &signed_, &w);
    *envelope = arena_copy(rq->arena, buf_view(&text));
    return OK;
}
