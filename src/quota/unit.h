/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_UNIT_H
#define CAIRN_QUOTA_UNIT_H

#include "access/access.h"

/*
 * What a tier limits, in one table: requests by kind, bytes sent and kept, what is there at once. Which kind a request is
 * follows from its route's action, so that no route can be forgotten.
 */
enum unit {
    UNIT_NONE, /* so that a forgotten entry of a table is seen */
    UNIT_API,
    UNIT_RESOLVE,
    UNIT_PAGE,
    UNIT_WRITE,
    UNIT_EGRESS,
    UNIT_STORE_PUBLIC,
    UNIT_STORE_PRIVATE,
    UNIT_STORE_GATED,
    UNIT_REPOS,
    UNIT_PARALLEL,
    UNIT_REQUESTS,
    UNIT_VERIFY,
    UNIT_SCAN,
    UNITS, /* new ones stand at the end: the database has their numbers */
};

enum measure {
    MEASURE_RATE = 1, /* requests over time: rate, per, burst */
    MEASURE_SPAN,     /* a sum over a span of time, from which it starts anew: per, soft, hard */
    MEASURE_HELD,     /* what is kept, until it is given up: soft, hard */
    MEASURE_NOW,      /* what is there at once: hard */
};

struct unit_spec {
    const char *name; /* "req.api" */
    const char *word; /* "api": in RateLimit headers, where clients take letters only */
    const char *what; /* for people: "requests to the API" */
    enum measure measure;

    /* Of what is kept or summed: */
    int64_t each;         /* counted in parts: so many are one, as people write and read it */
    enum status full;     /* the refusal at the limit */
    const char *relief;   /* and what helps, besides moving up; of spans NULL: waiting */
    const char *rows_sql; /* what is used, of an account, where it is asked of rows rather than counted; else NULL */
    bool of_repo;         /* counts against the owner of a repo, so that groups of repos can be limited, too */
};
extern const struct unit_spec unit_specs[UNITS];

enum unit unit_named(struct str name); /* UNIT_NONE when there is none */
/* The kind of requests that a route's action makes; asks: by GET or HEAD. */
enum unit unit_of_action(enum action action, bool asks);
bool unit_knows_action(enum action action); /* for the test that asks for what somebody forgot */

#endif
