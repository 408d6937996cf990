/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What everybody may know of tiers. */
#include "tier/api.h"
#include "base/time.h"

static void write_tier(struct request *rq, struct json_writer *w, const struct tier *tier)
{
    jw_object(w);
    jw_key_str(w, "slug", tier->doc.slug);
    jw_key_int(w, "version", tier->now.seq);
    jw_key_hex(w, "sha256", tier->now.sha256, SHA256_SIZE);
    if (tier->now.effective_us)
        jw_key_str(w, "since", time_iso(rq->arena, tier->now.effective_us));
    jw_key(w, "tier");
    jw_raw(w, tier->now.body);
    jw_end(w);
}

struct listing {
    struct request *rq;
    struct json_writer w;
};

static enum status list_one(void *context, const struct tier *tier, struct error *err)
{
    struct listing *listing = context;
    (void)err;
    write_tier(listing->rq, &listing->w, tier);
    return OK;
}

/* GET /api/tiers: all of them, the least first, as they are published. "sha256" is that of "tier", to the byte. */
enum status tiers_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct listing listing = {rq, jw_to(&body)};
    jw_array(&listing.w);
    TRY(tier_each(rq->db, list_one, &listing, err));
    jw_end(&listing.w);
    request_reply_json(rq, &body);
    return OK;
}

/* GET /api/tiers/{slug} */
enum status tier_get(struct request *rq, struct error *err)
{
    auto_buf struct buf body = {0};
    struct json_writer w = jw_to(&body);
    struct tier tier;
    TRY(tier_load(rq->db, rq->arena, rq->params[0], &tier, err));
    write_tier(rq, &w, &tier);
    json_release(&tier.json);
    request_reply_json(rq, &body);
    return OK;
}
