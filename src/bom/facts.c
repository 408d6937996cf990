/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"
#include "base/time.h"
#include "bom/internal.h"
#include "leaf/leaf_type.h"
#include "record/record.h"
#include "repo/tree.h"
#include "scan/card.h"

#define CARD_MOST (1024 * 1024)
#define TEXT_MOST 256

static bool is_text(struct str s)
{
    return s.len > 0 && s.len <= TEXT_MOST;
}

static struct str text_of(struct arena *arena, const json_t *value)
{
    struct str text = {json_string_value(value), json_string_length(value)};
    return json_is_string(value) && is_text(text) ? arena_copy(arena, text) : (struct str){0};
}

/* A field that holds one text or a list of them; each text once. */
static size_t texts_of(struct arena *arena, const json_t *field, struct str *out, size_t most)
{
    size_t count = 0, given = json_is_string(field) ? 1 : json_array_size(field);
    for (size_t i = 0; i < given && count < most; i++) {
        struct str text = text_of(arena, json_is_string(field) ? field : json_array_get(field, i));
        bool repeated = false;
        for (size_t j = 0; j < count; j++)
            repeated = repeated || str_eq(out[j], text);
        if (str_given(text) && !repeated)
            out[count++] = text;
    }
    return count;
}

/* "other" says where to look: license_name. */
static void read_licences(struct arena *arena, const json_t *card, struct bom_facts *out)
{
    struct str names[BOM_LICENCES_MOST], own = text_of(arena, json_object_get(card, "license_name"));
    out->licence_count = texts_of(arena, json_object_get(card, "license"), names, BOM_LICENCES_MOST);
    for (size_t i = 0; i < out->licence_count; i++)
        out->licences[i] = licence_of(str_eq(names[i], STR("other")) && str_given(own) ? own : names[i]);
}

static enum status read_card(struct request *rq, struct bom_facts *out, struct error *err)
{
    struct arena *arena = rq->arena;
    auto_json json_t *card = NULL;
    struct entry entry;
    struct str readme;
    struct error no = {0};
    uint8_t sha256[SHA256_SIZE];
    enum status status = entry_find(rq->db, arena, rq->repo.id, &out->commit_id, STR("README.md"), false, &entry, err);
    if (status == NOT_FOUND || (status == OK && entry.is_folder))
        return OK;
    TRY(status);
    TRY(entry_sha256(rq->db, rq->repo.id, &entry, sha256, err));
    out->card_sha256 = hex_encode(arena, sha256, sizeof sha256);
    if (entry.is_lfs || entry.size > CARD_MOST)
        return OK;
    TRY(blob_read(rq->db, arena, rq->repo.id, &entry.oid, &readme, err));
    if (card_read(readme, &card, &no) != OK)
        return OK; /* a card that nobody can read says nothing */
    read_licences(arena, card, out);
    out->dataset_count = texts_of(arena, json_object_get(card, "datasets"), out->datasets, BOM_DATASETS_MOST);
    out->task = text_of(arena, json_object_get(card, "pipeline_tag"));
    return OK;
}

/* What the log says of the revision. */
static enum status read_log(struct request *rq, struct bom_facts *out, struct error *err)
{
    auto_json json_t *body = NULL;
    struct prov_entry entry;
    uint8_t log_id[LEAF_REPO_SIZE];
    request_done_reading(rq);
    TRY(record_manifest_soon(rq->hub, &rq->repo, &out->commit_id, &out->index, err));
    TRY(request_read(rq, err));
    TRY(prov_repo_log(rq->db, rq->repo.id, log_id, err));
    TRY(prov_entry_at(rq->db, rq->arena, rq->repo.id, out->index, &entry, err));
    TRY(json_read(entry.body, entry.body.len, &body, err));
    out->log_id = hex_encode(rq->arena, log_id, sizeof log_id);
    out->dir_hash = text_of(rq->arena, json_object_get(body, "dirHash1"));
    out->oms_root = text_of(rq->arena, json_object_get(body, "omsRoot"));
    out->tensor_root = text_of(rq->arena, json_object_get(body, "tensorRoot"));
    struct str origin = ledger_vkey(rq->hub->record->ledger);
    str_cut(&origin, '+', &out->origin);
    return lineage_parents(rq->db, rq->arena, rq->repo.id, &out->commit_id, &out->edges, &out->edge_count, err);
}

static void set_addresses(struct request *rq, struct bom_facts *out)
{
    struct str base = request_base_url(rq), name = percent_encode(rq->arena, rq->repo.full_name, true);
    out->address = arena_printf(rq->arena, "%.*s/api/%.*s/%.*s", STR_ARG(base),
                                STR_ARG(repo_kind_plural(rq->repo.kind)), STR_ARG(name));
    out->web = arena_printf(rq->arena, "%.*s/%.*s%.*s", STR_ARG(base), STR_ARG(repo_kind_prefix(rq->repo.kind)),
                            STR_ARG(name));
}

/* Commits may claim any time; what cannot be written as one of years 1970 to 9999 becomes the nearest. */
static void set_time(const struct commit *commit, char out[BOM_TIME_SIZE])
{
    int64_t seconds = commit->at_us / SECOND_US;
    leaf_time(seconds < 0 ? 0 : seconds >= LEAF_TIME_LIMIT ? LEAF_TIME_LIMIT - 1 : seconds, out);
}

enum status bom_facts_read(struct request *rq, struct str revision, struct bom_facts *out, struct error *err)
{
    struct revision found;
    struct commit commit;
    *out = (struct bom_facts){.repo = &rq->repo};
    TRY(revision_resolve(rq->db, rq->arena, rq->repo.id, revision, &found, err));
    out->commit_id = found.commit;
    out->commit = oid_hex(rq->arena, &found.commit);
    TRY(commit_get(rq->db, rq->arena, rq->repo.id, &found.commit, &commit, err));
    TRY(record_manifest_files(rq->db, rq->arena, rq->repo.id, &found.commit, &out->manifest, err));
    if (out->manifest.count > BOM_FILES_MOST)
        return fail(err, TOO_LARGE, NULL, "The revision has %zu files; bills of material are made for up to %d.",
                    out->manifest.count, BOM_FILES_MOST);
    TRY(read_card(rq, out, err));
    TRY(read_log(rq, out, err));
    set_addresses(rq, out);
    set_time(&commit, out->at);
    return OK;
}
