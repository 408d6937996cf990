/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TIER_API_H
#define CAIRN_TIER_API_H

#include "tier/internal.h"

/* Handlers of this part's routes; module.c has the table. */
route_handler tiers_get, tier_get, usage_get;
route_handler application_post, applications_get, application_decide, application_withdraw, holder_post,
    tier_appeal_post;
route_handler pools_get, pool_get, pool_ledger, pool_post, pool_wish;
route_handler payment_post;

/* The caller, or an organisation that the caller administers. */
enum status tier_admit_account(struct request *rq, struct str name, struct account *out, struct error *err);
enum status tier_admit_board(const struct request *rq, struct error *err);
/* A JSON array of what sponsors give the account now. */
enum status pool_write_shares(struct request *rq, int64_t account_id, struct json_writer *w, struct error *err);

#endif
