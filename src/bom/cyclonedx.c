/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CycloneDX 1.6, JSON: https://cyclonedx.org/docs/1.6/json/ */
#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "bom/internal.h"

static void write_property(struct json_writer *w, const char *name, struct str value)
{
    if (!str_given(value))
        return;
    jw_object(w);
    jw_key_str(w, "name", str_of(name));
    jw_key_str(w, "value", value);
    jw_end(w);
}

static struct str number(struct arena *arena, int64_t value)
{
    return arena_printf(arena, "%lld", (long long)value);
}

static void write_sha256(struct json_writer *w, struct str hex)
{
    jw_key(w, "hashes");
    jw_array(w);
    jw_object(w);
    jw_key_str(w, "alg", STR("SHA-256"));
    jw_key_str(w, "content", hex);
    jw_end(w);
    jw_end(w);
}

/* A version 8 UUID: of the repo, the commit and the kind of document, so the same for the same revision. */
static struct str serial_number(struct arena *arena, const struct bom_facts *facts)
{
    uint8_t digest[SHA256_SIZE];
    sha256(arena_printf(arena, "cyclonedx %.*s %.*s", STR_ARG(facts->log_id), STR_ARG(facts->commit)), digest);
    digest[6] = (uint8_t)(0x80 | (digest[6] & 0x0f));
    digest[8] = (uint8_t)(0x80 | (digest[8] & 0x3f));
    const char *hex = hex_encode(arena, digest, 16).data;
    return arena_printf(arena, "urn:uuid:%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

static void write_licences(struct json_writer *w, const struct bom_facts *facts)
{
    if (facts->licence_count == 0)
        return;
    jw_key(w, "licenses");
    jw_array(w);
    for (size_t i = 0; i < facts->licence_count; i++) {
        const struct licence *licence = &facts->licences[i];
        jw_object(w);
        jw_key(w, "license");
        jw_object(w);
        jw_key_str(w, str_given(licence->spdx) ? "id" : "name",
                   str_given(licence->spdx) ? licence->spdx : licence->name);
        jw_end(w);
        jw_end(w);
    }
    jw_end(w);
}

/* One edge, one ancestor: who says something in several grades, or of several people, stays apart. */
static void write_ancestor(struct arena *arena, struct json_writer *w, const struct lineage_edge *edge)
{
    jw_object(w);
    jw_key_str(w, "type", STR("machine-learning-model"));
    jw_key_str(w, "name",
               str_given(edge->name) ? edge->name : arena_printf(arena, "dirHash1:%.*s", STR_ARG(edge->parent)));
    jw_key(w, "properties");
    jw_array(w);
    write_property(w, "cairn:lineage:grade", edge->grade);
    write_property(w, "cairn:lineage:rel", edge->rel);
    if (edge->weight >= 0)
        write_property(w, "cairn:lineage:weight", number(arena, edge->weight));
    write_property(w, "cairn:dirHash1", edge->parent);
    if (edge->index >= 0)
        write_property(w, "cairn:log:index", number(arena, edge->index));
    write_property(w, "cairn:evidence", edge->evidence);
    jw_end(w);
    jw_end(w);
}

static void write_pedigree(struct arena *arena, struct json_writer *w, const struct bom_facts *facts)
{
    if (facts->edge_count == 0)
        return;
    jw_key(w, "pedigree");
    jw_object(w);
    jw_key(w, "ancestors");
    jw_array(w);
    for (size_t i = 0; i < facts->edge_count; i++)
        write_ancestor(arena, w, &facts->edges[i]);
    jw_end(w);
    jw_end(w);
}

static void write_model_card(struct json_writer *w, const struct bom_facts *facts)
{
    if (facts->repo->kind != KIND_MODEL || (facts->dataset_count == 0 && !str_given(facts->task)))
        return;
    jw_key(w, "modelCard");
    jw_object(w);
    jw_key(w, "modelParameters");
    jw_object(w);
    if (str_given(facts->task))
        jw_key_str(w, "task", facts->task);
    jw_key(w, "datasets");
    jw_array(w);
    for (size_t i = 0; i < facts->dataset_count; i++) {
        jw_object(w);
        jw_key_str(w, "type", STR("dataset"));
        jw_key_str(w, "name", facts->datasets[i]);
        jw_end(w);
    }
    jw_end(w);
    jw_end(w);
    jw_end(w);
}

static void write_reference(struct json_writer *w, const char *type, struct str url, struct str sha256)
{
    jw_object(w);
    jw_key_str(w, "type", str_of(type));
    jw_key_str(w, "url", url);
    if (str_given(sha256))
        write_sha256(w, sha256);
    jw_end(w);
}

static void write_references(struct arena *arena, struct json_writer *w, const struct bom_facts *facts)
{
    struct str at = facts->address, commit = facts->commit, none = {0};
    jw_key(w, "externalReferences");
    jw_array(w);
    write_reference(w, "log", arena_printf(arena, "%.*s/provenance/%.*s.tlog-proof", STR_ARG(at), STR_ARG(commit)),
                    none);
    write_reference(w, "attestation",
                    arena_printf(arena, "%.*s/attestations?revision=%.*s", STR_ARG(at), STR_ARG(commit)), none);
    write_reference(w, "attestation", arena_printf(arena, "%.*s/oms/%.*s", STR_ARG(at), STR_ARG(commit)), none);
    write_reference(w, "digital-signature",
                    arena_printf(arena, "%.*s/provenance/%.*s.sig?by=hub", STR_ARG(at), STR_ARG(commit)), none);
    if (str_given(facts->card_sha256))
        write_reference(w, "model-card",
                        arena_printf(arena, "%.*s/resolve/%.*s/README.md", STR_ARG(facts->web), STR_ARG(commit)),
                        facts->card_sha256);
    jw_end(w);
}

static void write_facts(struct arena *arena, struct json_writer *w, const struct bom_facts *facts)
{
    jw_key(w, "properties");
    jw_array(w);
    write_property(w, "cairn:log:origin", facts->origin);
    write_property(w, "cairn:log:index", number(arena, (int64_t)facts->index));
    write_property(w, "cairn:log:repo", facts->log_id);
    write_property(w, "cairn:dirHash1", facts->dir_hash);
    write_property(w, "cairn:omsRoot", facts->oms_root);
    write_property(w, "cairn:tensorRoot", facts->tensor_root);
    write_property(w, "cairn:bytes", number(arena, facts->manifest.bytes));
    jw_end(w);
}

static const char *type_of(enum repo_kind kind)
{
    return kind == KIND_MODEL ? "machine-learning-model" : kind == KIND_DATASET ? "data" : "application";
}

static void write_subject(struct arena *arena, struct json_writer *w, const struct bom_facts *facts)
{
    jw_object(w);
    jw_key_str(w, "type", str_of(type_of(facts->repo->kind)));
    jw_key_str(w, "bom-ref", STR("revision"));
    jw_key_str(w, "name", facts->repo->full_name);
    jw_key_str(w, "version", facts->commit);
    write_licences(w, facts);
    write_pedigree(arena, w, facts);
    write_references(arena, w, facts);
    write_model_card(w, facts);
    write_facts(arena, w, facts);
    jw_end(w);
}

static void write_metadata(struct arena *arena, struct json_writer *w, const struct bom_facts *facts)
{
    jw_key(w, "metadata");
    jw_object(w);
    jw_key_str(w, "timestamp", str_of(facts->at));
    jw_key(w, "tools");
    jw_object(w);
    jw_key(w, "components");
    jw_array(w);
    jw_object(w);
    jw_key_str(w, "type", STR("application"));
    jw_key_str(w, "name",
               STR("cairn")); /* without its version: the next one has nothing else to tell of this revision */
    jw_end(w);
    jw_end(w);
    jw_end(w);
    jw_key(w, "component");
    write_subject(arena, w, facts);
    jw_end(w);
}

static void write_file(struct json_writer *w, const struct manifest_file *file)
{
    auto_arena struct arena arena = {0};
    jw_object(w);
    jw_key_str(w, "type", STR("file"));
    jw_key_str(w, "bom-ref", arena_printf(&arena, "file:%.*s", STR_ARG(file->name)));
    jw_key_str(w, "name", file->name);
    write_sha256(w, hex_encode(&arena, file->sha256, SHA256_SIZE));
    jw_key(w, "properties");
    jw_array(w);
    write_property(w, "cairn:bytes", number(&arena, file->size));
    jw_end(w);
    jw_end(w);
}

void cyclonedx_write(struct arena *arena, const struct bom_facts *facts, struct buf *out)
{
    struct json_writer w = jw_to(out);
    jw_object(&w);
    jw_key_str(&w, "$schema", STR("http://cyclonedx.org/schema/bom-1.6.schema.json"));
    jw_key_str(&w, "bomFormat", STR("CycloneDX"));
    jw_key_str(&w, "specVersion", STR("1.6"));
    jw_key_str(&w, "serialNumber", serial_number(arena, facts));
    jw_key_int(&w, "version", 1);
    write_metadata(arena, &w, facts);
    jw_key(&w, "components");
    jw_array(&w);
    for (size_t i = 0; i < facts->manifest.count; i++)
        write_file(&w, &facts->manifest.files[i]);
    jw_end(&w);
    jw_end(&w);
}
