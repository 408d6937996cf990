/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_NOTICE_NOTICE_H
#define CAIRN_NOTICE_NOTICE_H

#include "module.h"

/*
 * What the hub has to tell a person: kept until the person removes it, and forgotten with the person. GET /api/notices.
 */
extern const struct module notice_module;

struct notice {
    int64_t account_id, repo_id; /* to whom; about which repo, or 0 */
    const char *kind;            /* "grant.expiring": a word for machines */
    struct str text;             /* for people: what happened, why, what to do next and by when */
    int64_t due_us;              /* by when, or 0 */
};
/* In a write. */
enum status notice_add(struct db_conn *tx, const struct notice *notice, struct error *err);
/* In a write: the same to all who administer a name space. */
enum status notice_owners(struct db_conn *tx, int64_t owner_id, int64_t repo_id, const char *kind, struct str text,
                          struct error *err);
/* In a write: the same to all administrators of the hub. */
enum status notice_board(struct db_conn *tx, int64_t repo_id, const char *kind, struct str text, struct error *err);

#endif
