/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/unit.h"
#include <assert.h>

const struct unit_spec unit_specs[UNITS] = {
    [UNIT_API] = {"req.api", "api", "requests to the API", MEASURE_RATE},
    [UNIT_RESOLVE] = {"req.resolve", "resolvers", "downloads of files", MEASURE_RATE},
    [UNIT_PAGE] = {"req.page", "pages", "requests of pages", MEASURE_RATE},
    [UNIT_WRITE] = {"req.write", "write", "requests that change something", MEASURE_RATE},
    [UNIT_EGRESS] = {"bytes.egress", "egress", "bytes downloaded", MEASURE_SPAN},
    [UNIT_STORE_PUBLIC] = {"bytes.store.public", "public", "bytes kept in public repos", MEASURE_HELD},
    [UNIT_STORE_PRIVATE] = {"bytes.store.private", "private", "bytes kept in private repos", MEASURE_HELD},
    [UNIT_STORE_GATED] = {"bytes.store.gated", "gated", "bytes kept in gated repos", MEASURE_HELD},
    [UNIT_REPOS] = {"repo.count", "repos", "repos", MEASURE_HELD},
    [UNIT_PARALLEL] = {"conn.parallel", "parallel", "requests at once", MEASURE_NOW},
};

enum unit unit_named(struct str name)
{
    for (enum unit unit = 1; unit < UNITS; unit++)
        if (str_eq(name, str_of(unit_specs[unit].name)))
            return unit;
    return UNIT_NONE;
}

static const enum unit of_action[ACTIONS] = {
    [ACT_PUBLIC] = UNIT_PAGE,   [ACT_LIST] = UNIT_API,     [ACT_SELF] = UNIT_API,
    [ACT_SELF_CHANGE] = UNIT_WRITE, [ACT_CREATE] = UNIT_WRITE, [ACT_SEE] = UNIT_API,
    [ACT_READ] = UNIT_RESOLVE,  [ACT_ATTEST] = UNIT_WRITE, [ACT_PROPOSE] = UNIT_WRITE,
    [ACT_WRITE] = UNIT_WRITE,   [ACT_ADMINISTER] = UNIT_WRITE,
};

/* An action without an entry is one of changes until somebody says otherwise; the unit test asks for the entry. */
enum unit unit_of_action(enum action action)
{
    assert((unsigned)action < ACTIONS);
    return of_action[action] ? of_action[action] : UNIT_WRITE;
}
