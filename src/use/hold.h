/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_USE_HOLD_H
#define CAIRN_USE_HOLD_H

#include "use/internal.h"

/*
 * Gated weights that come back in by another repo. What looks like them is held before anybody else can have it: the exact
 * object and its chunks in the write in which the repo comes to hold them, tensors by a job soon after the commit, until
 * which the repo's bytes wait. Held bytes go to the repo's own name space and the board alone (access/bytes.c).
 */
#define HOLD_SHARE_PPM 300000 /* of a file's bytes that makes a match */

enum hold_state { HOLD_OPEN = 1, HOLD_RELEASED = 2, HOLD_CONFIRMED = 3 };

struct held {
    int64_t repo_id, gate_id; /* gate 0: it waits to be looked at */
    const char *kind;
    int64_t share_ppm, uploader_id; /* uploader 0: the commit will tell */
    bool has_commit;
    struct oid commit;
    struct str path;
};

/* Gates other than the repo's own and those of owners to whom the repo's owner belongs, for SQL about gate g. */
#define FOREIGN_GATE(repo)                                                                                             \
    "g.id NOT IN (SELECT gate_id FROM gate_repo WHERE repo_id = " repo ") "                                            \
    "AND g.owner_id NOT IN (SELECT owner_id FROM repo WHERE id = " repo ") "                                           \
    "AND NOT EXISTS (SELECT 1 FROM member m JOIN repo o ON o.owner_id = m.user_id WHERE m.org_id = g.owner_id "        \
    "AND o.id = " repo ") "

/* What anybody could have had of an open repo p before it came to the gate is nobody's secret. */
#define OPEN_REPO                                                                                                      \
    "p.visibility = 1 AND NOT EXISTS (SELECT 1 FROM gate_repo x WHERE x.repo_id = p.id) "                              \
    "AND NOT EXISTS (SELECT 1 FROM access_hold y WHERE y.repo_id = p.id AND y.state <> 2)"

/*
 * In a write. The gate that has the largest part of the object's bytes in chunks, and that part, into *held; gate 0 when no
 * gate has HOLD_SHARE_PPM of them. What it costs is limited, whatever others have made of the same chunks.
 */
enum status hold_match_chunks(struct db_conn *tx, int64_t repo_id, int64_t object_id, struct held *held,
                              struct error *err);

/* In a write. Nothing when that gate has a hold on that repo already, in whatever state. */
enum status hold_put(struct db_conn *tx, const struct held *held, struct error *err);
enum status hold_tell(struct db_conn *tx, const struct repo *repo, int64_t owner_id, int64_t uploader_id, int64_t id,
                      struct error *err);

#endif
