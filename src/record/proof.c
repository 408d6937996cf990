/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Proof files: all that is needed to check without a network that something is in the log (provenance 1.9). */
#include "tlog/proof.h"
#include "base/text.h"
#include "leaf/extra.h"
#include "record/internal.h"
#include "tlog/text.h"

#define FILES_TEXT_MOST (600 * 1024) /* of the list of files, so that the file stays under PROOF_MOST in base64 */

static enum status checkpoint_for(struct record *record, uint64_t index, bool with_quorum, struct buf *note,
                                  struct error *err)
{
    enum status status = record->witness ? witness_cosigned_for(record->witness, index, note, err) : UNAVAILABLE;
    if (status == OK || (record->witness && (with_quorum || status != UNAVAILABLE)))
        return status;
    newest_checkpoint(record, note);
    return OK;
}

enum status proof_of(struct hub *hub, struct arena *arena, uint64_t index, struct str extra, bool with_quorum,
                     struct buf *out, struct error *err)
{
    auto_buf struct buf note = {0}, path = {0};
    struct proof proof = {.extra = extra, .index = index};
    struct checkpoint checkpoint;
    struct note parsed;
    TRY(checkpoint_for(hub->record, index, with_quorum, &note, err));
    TRY(note_parse(arena, buf_view(&note), &parsed, err));
    TRY(checkpoint_parse(parsed.text, &checkpoint, err));
    TRY(ledger_inclusion(hub->record->ledger, index, checkpoint.size, &path, err));
    proof.checkpoint = buf_view(&note);
    proof.path.count = path.len / SHA256_SIZE;
    memcpy(proof.path.hashes, path.data, path.len);
    return proof_write(out, &proof, err);
}

enum status logged_read(struct request *rq, const struct prov_entry *entry, struct logged *out, struct error *err)
{
    auto_buf struct buf bytes = {0};
    struct record *record = rq->hub->record;
    *out = (struct logged){.entry = *entry};
    TRY(ledger_entry(record->ledger, entry->index, &bytes, err));
    out->text = arena_copy(rq->arena, buf_view(&bytes));
    TRY(leaf_parse(rq->arena, out->text, &out->leaf, err));
    return prov_openings(record->persons, rq->arena, entry, &out->leaf, rq->actor.account.id, &out->openings,
                         &out->opening_count, err);
}

/* The files of the commit, unless there are too many for a proof file: then the verifier can still tell whether all are
 * right, only not which one is wrong. */
static enum status add_files(struct request *rq, const struct oid *commit, struct extra *extra, struct error *err)
{
    struct manifest manifest;
    size_t len = 0;
    TRY(record_manifest_files(rq->db, rq->arena, rq->repo.id, commit, &manifest, err));
    for (size_t i = 0; i < manifest.count; i++)
        len += manifest.files[i].name.len + 120;
    if (len > FILES_TEXT_MOST)
        return OK;
    extra->files = manifest.files;
    extra->file_count = manifest.count;
    return OK;
}

/* What others act on must not be proved by the hub's word alone: where it has witnesses, their quorum has to stand behind it
 * (provenance 1.7). Commits do not wait for them. */
static bool needs_quorum(const struct leaf *leaf)
{
    return str_eq(leaf->type, STR("release")) || str_eq(leaf->type, STR("key")) ||
           str_eq(leaf->type, STR("moderation"));
}

static enum status find_entry(struct request *rq, uint64_t index, struct prov_entry *out, struct error *err)
{
    if (rq->repo.id)
        return prov_entry_at(rq->db, rq->arena, rq->repo.id, index, out, err);
    return prov_own_entry(rq->db, rq->arena, rq->actor.account.id, index, out, err);
}

enum status record_reply_proof(struct request *rq, uint64_t index, const struct oid *manifest_of, struct error *err)
{
    auto_buf struct buf extra_text = {0}, file = {0};
    struct prov_entry entry;
    struct logged logged;
    request_done_reading(rq);
    witness_await(rq->hub->record->witness, index);
    TRY(request_read(rq, err));
    TRY(find_entry(rq, index, &entry, err));
    TRY(logged_read(rq, &entry, &logged, err));
    struct extra extra = {.leaf = logged.text, .openings = logged.openings, .opening_count = logged.opening_count};
    if (manifest_of && str_eq(logged.leaf.type, STR("manifest")))
        TRY(add_files(rq, manifest_of, &extra, err));
    extra_write(rq->arena, &extra, &extra_text);
    TRY(proof_of(rq->hub, rq->arena, index, buf_view(&extra_text), needs_quorum(&logged.leaf), &file, err));
    reply_header(rq->http, "Cache-Control", "no-cache");
    reply_header(rq->http, "X-Prov-Index", "%llu", (unsigned long long)index);
    reply_buf(rq->http, 200, STR("text/plain; charset=utf-8"), &file);
    return OK;
}

/* GET /api/{api}/provenance/{rev}.tlog-proof: of what the revision holds, or where a manifest is not possible, or not yet, of
 * the commit itself. */
enum status proof_get(struct request *rq, struct error *err)
{
    struct revision revision;
    uint64_t index;
    bool found = true;
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, rq->params[0], &revision, err));
    request_done_reading(rq);
    enum status status = record_manifest_soon(rq->hub, &rq->repo, &revision.commit, &index, err);
    bool waits = status == UNAVAILABLE && str_eq(str_of(err->code), STR(RECORD_WAITS_FOR_TENSORS));
    if (status == UNPROCESSABLE || status == TOO_LARGE || waits) {
        TRY(request_read(rq, err));
        TRY(record_revision_leaf(rq->db, rq->repo.id, &revision.commit, &index, &found, err));
        if (!found)
            return fail(err, NOT_FOUND, NULL,
                        "No ref was moved to this commit since the log began, so it has no entry.");
    } else
        TRY(status);
    return record_reply_proof(rq, index, &revision.commit, err);
}

/* GET /api/{api}/provenance/leaf/{name}.tlog-proof: of any entry about the repo, by its index. And
 * GET /api/settings/log/{name}.tlog-proof: of any that is the caller's own. */
enum status leaf_proof_get(struct request *rq, struct error *err)
{
    uint64_t index;
    if (!tlog_decimal(rq->params[0], &index))
        return fail(err, INVALID, NULL, "The index of an entry is a number.");
    return record_reply_proof(rq, index, NULL, err);
}
