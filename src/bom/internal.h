/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_BOM_INTERNAL_H
#define CAIRN_BOM_INTERNAL_H

#include "bom/bom.h"
#include "bom/licence.h"
#include "lineage/lineage.h"
#include "oms/manifest.h"

/* api.c */ route_handler bom_get, bom_post;

#define BOM_FILES_MOST 50000
#define BOM_LICENCES_MOST 16
#define BOM_DATASETS_MOST 100
#define BOM_TIME_SIZE 21

/* What a bill tells. All strings live in the request's arena. */
struct bom_facts {
    const struct repo *repo;
    struct oid commit_id;
    struct str commit;  /* hex */
    struct str address; /* of the repo in the API: "https://hub/api/models/ns/name" */
    struct str web;     /* and for people */
    struct str origin;  /* of the log */
    struct str log_id;  /* of the repo in the log, hex */
    char at[BOM_TIME_SIZE];
    uint64_t index; /* of the manifest's leaf */
    struct str dir_hash, oms_root;
    struct str tensor_root; /* absent: none */
    struct manifest manifest;
    struct str card_sha256; /* of README.md; absent: none */
    struct licence licences[BOM_LICENCES_MOST];
    size_t licence_count;
    struct str datasets[BOM_DATASETS_MOST];
    size_t dataset_count;
    struct str task; /* absent: not said */
    struct lineage_edge *edges;
    size_t edge_count;
};

/* facts.c. Has the manifest logged where it was not. TOO_LARGE over BOM_FILES_MOST files. */
enum status bom_facts_read(struct request *rq, struct str revision, struct bom_facts *out, struct error *err);

/* Appends the whole document. */
typedef void bom_writer(struct arena *arena, const struct bom_facts *facts, struct buf *out);
/* cyclonedx.c */ bom_writer cyclonedx_write;
/* spdx.c */ bom_writer spdx_write;

/* signed.c */
struct bom_format {
    const char *name, *media_type, *predicate_type;
    bom_writer *write;
};
struct bom {
    const struct bom_format *format;
    struct bom_facts facts;
    struct buf text;   /* of the document; freed by bom_free() */
    struct str digest; /* SHA-256 of it, hex */
};
void bom_free(struct bom *bom);
/* The envelope of the document: the one that is in the log, or else one made now. *index is -1 for that. */
enum status bom_envelope(struct request *rq, const struct bom *bom, struct str *envelope, int64_t *index,
                         struct error *err);
/* Has it logged, where it is not yet; *fresh tells whether it was done now. */
enum status bom_log(struct request *rq, const struct bom *bom, struct str *envelope, int64_t *index, bool *fresh,
                    struct error *err);

extern const struct migration_set bom_migrations;
extern const struct event_kind bom_events[];

#endif
