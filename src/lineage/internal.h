/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LINEAGE_INTERNAL_H
#define CAIRN_LINEAGE_INTERNAL_H

#include "lineage/lineage.h"
#include "record/record.h"
#include "tensor/tensors.h"

extern const struct migration_set lineage_migrations;

/* graph.c */ route_handler lineage_get;
/* declared.c */ enum status declared_job(struct hub *hub, struct error *err);

/* What read_edge() reads, from lineage_edge e: an edge that is erased with its repo leaves nothing here. */
#define EDGE_COLUMNS                                                                                                   \
    "e.child_id, e.commit_oid, e.grade, e.rel, e.weight, e.parent_hash, COALESCE(e.parent_id, 0), e.parent_name, "     \
    "e.evidence, COALESCE(l.idx, -1) FROM lineage_edge e LEFT JOIN leaf l ON l.event_id = e.event_id "
void read_edge(struct stmt *row, struct arena *arena, struct lineage_edge *out);
/* Reads all rows of a query that has been bound. */
enum status read_edges(struct stmt *rows, struct arena *arena, struct lineage_edge **out, size_t *count,
                       struct error *err);

#endif
