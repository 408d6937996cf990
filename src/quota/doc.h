/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_QUOTA_DOC_H
#define CAIRN_QUOTA_DOC_H

#include "base/json.h"
#include "quota/rate.h"
#include "quota/unit.h"

/*
 * A tier as its operator writes it, one JSON object, which is what is published, hashed and kept:
 *
 *   {"slug": "academic", "name": "Academic", "purpose": "…", "order": 30,
 *    "local": true,                    the limits of requests do not hold on the hub's own machine (default false)
 *    "limits": [{"unit": "req.api", "scope": "person", "rate": 1000, "per": 300, "burst": 1000},
 *               {"unit": "bytes.store.private", "scope": "person", "soft": 80000000000, "hard": 100000000000},
 *               {"unit": "bytes.egress", "scope": "person", "per": 86400, "hard": 1000000000000, "over": "slow"},
 *               {"unit": "bytes.store.public", "scope": "repos", "repos": "nightly-*", "hard": 20000000000}],
 *    "rules": [{"rule": "age", "days": 30}, …],   what has to be met (rule.h of the part tier)
 *    "questions": ["What do you work on?", …],    what who applies is asked
 *    "decides": "rule" | "board"}                 who decides on applications (default board)
 *
 * scope is key, person (an account: of an organisation, too), network (those who are not signed in) or repos (those of the account
 * whose names match, in any case of letters; for what counts against the owner of a repo). All that hold are
 * asked, and the strictest counts. over: what happens then. Of requests: always 429 with the time to wait. Of bytes.egress:
 * refuse (429), slow (each download counts as ten), charge (402), sponsor (drawn from a pool first, then refused).
 */
enum scope { SCOPE_KEY, SCOPE_PERSON, SCOPE_NETWORK, SCOPES, SCOPE_REPOS = SCOPES }; /* of repos: struct group_limit */
enum over { OVER_REFUSE, OVER_SLOW, OVER_CHARGE, OVER_SPONSOR };
extern const char *const scope_names[SCOPES + 1];
extern const char *const over_names[4];

struct limit {
    bool given;
    struct rate rate;
    int64_t per_s;      /* of MEASURE_RATE and MEASURE_SPAN */
    int64_t soft, hard; /* the other measures; INT64_MAX: none */
    enum over over;
};

/* Of the repos of one account whose names match: organisation by repo group (access.md C12). */
struct group_limit {
    char repos[104]; /* a pattern for glob_match(), in small letters */
    enum unit unit;
    struct limit limit;
};
#define GROUPS_MOST 16

struct limits {
    char slug[64];
    bool local_free;
    struct limit of[SCOPES][UNITS];
    struct group_limit groups[GROUPS_MOST];
    size_t group_count;
};

#define TIER_BODY_LIMIT (64 << 10)
#define TIER_RULES_MOST 16
#define TIER_QUESTIONS_MOST 16

struct tier_doc {
    struct str slug, name, purpose; /* views into the parsed JSON */
    int64_t order;
    bool decided_by_rule;
    const json_t *rules, *questions; /* arrays, or NULL */
    struct limits limits;
};
/* INVALID with a sentence that names the member. *json is the parsed text, which *out looks into; json_release() it. */
enum status tier_doc_read(struct str text, json_t **json, struct tier_doc *out, struct error *err);

/* Refuses members of an object that are not among names (ends with NULL), naming the first. */
enum status doc_only(const json_t *object, const char *where, const char *const *names, struct error *err);

/* What holds as long as the operator has published nothing else of these slugs. */
extern const char *const builtin_tiers[]; /* ends with NULL */
#define TIER_STRANGERS "anon"
#define TIER_EVERYBODY "basic"

#endif
