/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SPDX 3.0.1 with the AI profile, JSON-LD: https://spdx.github.io/spdx-spec/v3.0.1/ */
#include "base/json.h"
#include "base/text.h"
#include "bom/internal.h"

struct graph {
    struct arena *arena;
    struct json_writer w;
    const struct bom_facts *facts;
};

/* Ids follow from the repo, the commit and a place in it. */
static struct str id_of(const struct graph *graph, const char *what, size_t number)
{
    return arena_printf(graph->arena, "urn:cairn:%.*s:%.*s#%s-%zu", STR_ARG(graph->facts->log_id),
                        STR_ARG(graph->facts->commit), what, number);
}

static struct str the_revision(const struct graph *graph)
{
    return id_of(graph, "revision", 0);
}

static void begin(struct graph *graph, const char *type, struct str id)
{
    jw_object(&graph->w);
    jw_key_str(&graph->w, "type", str_of(type));
    jw_key_str(&graph->w, "spdxId", id);
    jw_key_str(&graph->w, "creationInfo", STR("_:creation"));
}

static void end(struct graph *graph)
{
    jw_end(&graph->w);
}

static void one_text(struct graph *graph, const char *key, struct str value)
{
    jw_key(&graph->w, key);
    jw_array(&graph->w);
    jw_str(&graph->w, value);
    jw_end(&graph->w);
}

/* count ids of one kind, in a list. */
static void ids(struct graph *graph, const char *key, const char *what, size_t count)
{
    jw_key(&graph->w, key);
    jw_array(&graph->w);
    for (size_t i = 0; i < count; i++)
        jw_str(&graph->w, id_of(graph, what, i));
    jw_end(&graph->w);
}

static void sha256_of(struct graph *graph, struct str hex)
{
    jw_key(&graph->w, "verifiedUsing");
    jw_array(&graph->w);
    jw_object(&graph->w);
    jw_key_str(&graph->w, "type", STR("Hash"));
    jw_key_str(&graph->w, "algorithm", STR("sha256"));
    jw_key_str(&graph->w, "hashValue", hex);
    jw_end(&graph->w);
    jw_end(&graph->w);
}

/* Who says so, and the document itself. */

static void write_creation(struct graph *graph)
{
    struct json_writer *w = &graph->w;
    jw_object(w);
    jw_key_str(w, "type", STR("CreationInfo"));
    jw_key_str(w, "@id", STR("_:creation"));
    jw_key_str(w, "specVersion", STR("3.0.1"));
    jw_key_str(w, "created", str_of(graph->facts->at));
    one_text(graph, "createdBy", id_of(graph, "hub", 0));
    jw_end(w);
    begin(graph, "SoftwareAgent", id_of(graph, "hub", 0));
    jw_key_str(w, "name", arena_printf(graph->arena, "Cairn, log %.*s", STR_ARG(graph->facts->origin)));
    end(graph);
    begin(graph, "Agent", id_of(graph, "owner", 0));
    jw_key_str(w, "name", graph->facts->repo->ns);
    end(graph);
}

static void write_document(struct graph *graph)
{
    struct json_writer *w = &graph->w;
    begin(graph, "SpdxDocument", id_of(graph, "document", 0));
    jw_key(w, "profileConformance");
    jw_array(w);
    jw_str(w, STR("core"));
    jw_str(w, STR("software"));
    jw_str(w, STR("simpleLicensing"));
    if (graph->facts->repo->kind == KIND_MODEL)
        jw_str(w, STR("ai"));
    jw_end(w);
    one_text(graph, "rootElement", id_of(graph, "bom", 0));
    end(graph);
    begin(graph, "software_Sbom", id_of(graph, "bom", 0));
    one_text(graph, "software_sbomType", STR("analyzed"));
    one_text(graph, "rootElement", the_revision(graph));
    end(graph);
}

/* The revision. */

static void reference(struct graph *graph, const char *type, struct str url)
{
    jw_object(&graph->w);
    jw_key_str(&graph->w, "type", STR("ExternalRef"));
    jw_key_str(&graph->w, "externalRefType", str_of(type));
    one_text(graph, "locator", url);
    jw_end(&graph->w);
}

static void write_references(struct graph *graph)
{
    const struct bom_facts *facts = graph->facts;
    jw_key(&graph->w, "externalRef");
    jw_array(&graph->w);
    reference(
        graph, "secureSoftwareAttestation",
        arena_printf(graph->arena, "%.*s/provenance/%.*s.tlog-proof", STR_ARG(facts->address), STR_ARG(facts->commit)));
    reference(
        graph, "secureSoftwareAttestation",
        arena_printf(graph->arena, "%.*s/attestations?revision=%.*s", STR_ARG(facts->address), STR_ARG(facts->commit)));
    reference(graph, "secureSoftwareAttestation",
              arena_printf(graph->arena, "%.*s/oms/%.*s", STR_ARG(facts->address), STR_ARG(facts->commit)));
    if (str_given(facts->card_sha256))
        reference(
            graph, "documentation",
            arena_printf(graph->arena, "%.*s/resolve/%.*s/README.md", STR_ARG(facts->web), STR_ARG(facts->commit)));
    jw_end(&graph->w);
}

static void write_revision(struct graph *graph)
{
    static const struct {
        const char *type, *purpose;
    } kinds[] = {[KIND_MODEL] = {"ai_AIPackage", "model"},
                 [KIND_DATASET] = {"dataset_DatasetPackage", "data"},
                 [KIND_SPACE] = {"software_Package", "application"}};
    const struct bom_facts *facts = graph->facts;
    struct json_writer *w = &graph->w;
    begin(graph, kinds[facts->repo->kind].type, the_revision(graph));
    jw_key_str(w, "name", facts->repo->full_name);
    jw_key_str(w, "software_packageVersion", facts->commit);
    jw_key_str(w, "software_primaryPurpose", str_of(kinds[facts->repo->kind].purpose));
    jw_key_str(w, "software_downloadLocation",
               arena_printf(graph->arena, "%.*s/revision/%.*s", STR_ARG(facts->address), STR_ARG(facts->commit)));
    jw_key_str(w, "releaseTime", str_of(facts->at));
    jw_key_str(w, "suppliedBy", id_of(graph, "owner", 0));
    if (facts->repo->kind == KIND_DATASET)
        one_text(graph, "dataset_datasetType", STR("noAssertion"));
    if (facts->repo->kind == KIND_MODEL && str_given(facts->task))
        one_text(graph, "ai_domain", facts->task);
    write_references(graph);
    end(graph);
}

/* What SPDX has no word for: where it stands in the log, and the digest of all files. */
static void write_log(struct graph *graph)
{
    const struct bom_facts *facts = graph->facts;
    auto_buf struct buf text = {0};
    struct json_writer w = jw_to(&text);
    jw_object(&w);
    jw_key_str(&w, "origin", facts->origin);
    jw_key_int(&w, "index", (int64_t)facts->index);
    jw_key_str(&w, "repo", facts->log_id);
    jw_key_str(&w, "gitCommit", facts->commit);
    jw_key_str(&w, "dirHash1", facts->dir_hash);
    jw_key_str(&w, "omsRoot", facts->oms_root);
    if (str_given(facts->tensor_root))
        jw_key_str(&w, "tensorRoot", facts->tensor_root);
    jw_end(&w);
    begin(graph, "Annotation", id_of(graph, "log", 0));
    jw_key_str(&graph->w, "annotationType", STR("other"));
    jw_key_str(&graph->w, "contentType", STR("application/json"));
    jw_key_str(&graph->w, "statement", buf_view(&text));
    jw_key_str(&graph->w, "subject", the_revision(graph));
    end(graph);
}

/* What it is made of. */

/* from is the revision, or what its number gives; to is a list of count ids. */
static void write_relation(struct graph *graph, const char *what, const char *type, const char *to, size_t count)
{
    begin(graph, "Relationship", id_of(graph, what, 0));
    jw_key_str(&graph->w, "relationshipType", str_of(type));
    jw_key_str(&graph->w, "from", the_revision(graph));
    ids(graph, "to", to, count);
    end(graph);
}

static void write_files(struct graph *graph)
{
    const struct manifest *manifest = &graph->facts->manifest;
    for (size_t i = 0; i < manifest->count; i++) {
        begin(graph, "software_File", id_of(graph, "file", i));
        jw_key_str(&graph->w, "name", manifest->files[i].name);
        sha256_of(graph, hex_encode(graph->arena, manifest->files[i].sha256, SHA256_SIZE));
        end(graph);
    }
    write_relation(graph, "files", "contains", "file", manifest->count);
}

/* An identifier of its own, of the characters that one may have. */
static struct str licence_ref(struct arena *arena, struct str name)
{
    struct str ref = arena_printf(arena, "LicenseRef-%.*s", STR_ARG(name));
    char *c = arena_cstr(arena, ref);
    for (size_t i = 0; i < ref.len; i++)
        if (!((c[i] >= '0' && c[i] <= '9') || ((c[i] | 0x20) >= 'a' && (c[i] | 0x20) <= 'z') || c[i] == '.'))
            c[i] = '-';
    return (struct str){c, ref.len};
}

static void write_licences(struct graph *graph)
{
    const struct bom_facts *facts = graph->facts;
    for (size_t i = 0; i < facts->licence_count; i++) {
        const struct licence *licence = &facts->licences[i];
        begin(graph, "simplelicensing_LicenseExpression", id_of(graph, "licence", i));
        jw_key_str(&graph->w, "name", licence->name);
        jw_key_str(&graph->w, "simplelicensing_licenseExpression",
                   str_given(licence->spdx) ? licence->spdx : licence_ref(graph->arena, licence->name));
        end(graph);
    }
    if (facts->licence_count)
        write_relation(graph, "licences", "hasDeclaredLicense", "licence", facts->licence_count);
}

static void write_datasets(struct graph *graph)
{
    const struct bom_facts *facts = graph->facts;
    if (facts->repo->kind != KIND_MODEL || facts->dataset_count == 0)
        return;
    for (size_t i = 0; i < facts->dataset_count; i++) {
        begin(graph, "dataset_DatasetPackage", id_of(graph, "dataset", i));
        jw_key_str(&graph->w, "name", facts->datasets[i]);
        one_text(graph, "dataset_datasetType", STR("noAssertion"));
        end(graph);
    }
    write_relation(graph, "datasets", "trainedOn", "dataset", facts->dataset_count);
}

/* Where it comes from. The grade of a claim is in the comment of its relationship; the Core profile has no field for it. */

static struct str claim_of(struct arena *arena, const struct lineage_edge *edge)
{
    auto_buf struct buf text = {0};
    buf_printf(&text, "grade=%.*s", STR_ARG(edge->grade));
    if (str_given(edge->rel))
        buf_printf(&text, " rel=%.*s", STR_ARG(edge->rel));
    if (edge->weight >= 0)
        buf_printf(&text, " weight=%lld", (long long)edge->weight);
    if (str_given(edge->parent))
        buf_printf(&text, " dirHash1=%.*s", STR_ARG(edge->parent));
    if (edge->index >= 0)
        buf_printf(&text, " index=%lld", (long long)edge->index);
    if (str_given(edge->evidence))
        buf_printf(&text, " evidence=%.*s", STR_ARG(edge->evidence));
    return arena_copy(arena, buf_view(&text));
}

static void write_parents(struct graph *graph)
{
    struct json_writer *w = &graph->w;
    for (size_t i = 0; i < graph->facts->edge_count; i++) {
        const struct lineage_edge *edge = &graph->facts->edges[i];
        begin(graph, "software_Package", id_of(graph, "parent", i));
        jw_key_str(w, "name",
                   str_given(edge->name) ? edge->name
                                         : arena_printf(graph->arena, "dirHash1:%.*s", STR_ARG(edge->parent)));
        jw_key_str(w, "software_primaryPurpose", STR("model"));
        end(graph);
        begin(graph, "Relationship", id_of(graph, "descent", i));
        jw_key_str(w, "relationshipType", STR("descendantOf"));
        jw_key_str(w, "from", the_revision(graph));
        one_text(graph, "to", id_of(graph, "parent", i));
        jw_key_str(w, "comment", claim_of(graph->arena, edge));
        end(graph);
    }
}

void spdx_write(struct arena *arena, const struct bom_facts *facts, struct buf *out)
{
    struct graph graph = {arena, jw_to(out), facts};
    jw_object(&graph.w);
    jw_key_str(&graph.w, "@context", STR("https://spdx.org/rdf/3.0.1/spdx-context.jsonld"));
    jw_key(&graph.w, "@graph");
    jw_array(&graph.w);
    write_creation(&graph);
    write_document(&graph);
    write_revision(&graph);
    write_log(&graph);
    write_files(&graph);
    write_licences(&graph);
    write_datasets(&graph);
    write_parents(&graph);
    jw_end(&graph.w);
    jw_end(&graph.w);
}
