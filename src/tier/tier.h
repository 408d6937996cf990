/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_TIER_H
#define CAIRN_TIER_TIER_H

#include "module.h"
#include "quota/quota.h"

/*
 * Tiers: what the operator publishes (versions that never change), who has which (a machine), how one comes to another (by
 * application or by rule), what sponsors add (pools), and what each person has left (usage). The limits themselves are below, in
 * the part quota, where the dispatcher and uploads ask for them.
 */
extern const struct module tier_module;

/*
 * Publishes a version of a tier: doc.h says what the text is. In force at once for all who have the tier; *seq is its number,
 * the last one's when nothing has changed. by_id 0 for the command line.
 */
enum status tier_publish(struct db *db, struct str text, int64_t by_id, int64_t *seq, struct error *err);

/* Gives an account a tier, for who decides so without an application: the operator, on the command line. */
enum status tier_give(struct db *db, struct str account, struct str slug, int64_t by_id, struct error *err);

/* From now on what that payment provider says is believed when it is signed with the secret. */
enum status payment_source_set(struct db *db, struct str name, struct str secret, struct error *err);

#endif
