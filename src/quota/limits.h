/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_LIMITS_H
#define CAIRN_QUOTA_LIMITS_H

#include "quota/doc.h"

/*
 * The limits that hold for an account now; account 0: for those who are not signed in. *out lives as long as the program: a
 * version of a tier never changes, so each is read once.
 */
enum status limits_of(struct db_conn *conn, int64_t account_id, const struct limits **out, struct error *err);

/* The version of a tier that is in force at that time; text is the built-in one where nobody has published any (then seq is
 * 0). NOT_FOUND when there is no such tier. Copied into the arena. */
struct tier_in_force {
    int64_t seq, effective_us;
    struct str body;
    uint8_t sha256[SHA256_SIZE];
};
enum status tier_in_force(struct db_conn *conn, struct arena *arena, struct str slug, int64_t now_us,
                          struct tier_in_force *out, struct error *err);

#endif
