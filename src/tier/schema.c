/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tier/internal.h"

const struct event_kind tier_events[] = {[EVENT_TIER_PUBLISH] = {"tier.publish", 1},
                                         [EVENT_TIER_STEP] = {"tier.step", 1},
                                         [EVENT_POOL] = {"pool.step", 1},
                                         [EVENT_PAYMENT] = {"payment.receive", 1},
                                         {0}};
