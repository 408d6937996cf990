/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "quota/unit.h"
#include <assert.h>

/* 413 where something is sent, because the Xet client takes any 5xx for a hub in trouble, and tries for minutes. */
#define DELETE 1, TOO_LARGE, "Delete what is not needed"

static const char open_requests_sql[] = "SELECT count(*), 0 FROM access_request WHERE applicant_id = ? AND state <= 6";

const struct unit_spec unit_specs[UNITS] = {
    [UNIT_API] = {"req.api", "api", "requests to the API", MEASURE_RATE},
    [UNIT_RESOLVE] = {"req.resolve", "resolvers", "downloads of files", MEASURE_RATE},
    [UNIT_PAGE] = {"req.page", "pages", "requests of pages", MEASURE_RATE},
    [UNIT_WRITE] = {"req.write", "write", "requests that change something", MEASURE_RATE},
    [UNIT_EGRESS] = {"bytes.egress", "egress", "bytes downloaded", MEASURE_SPAN, 1, TOO_MANY, NULL, NULL},
    [UNIT_STORE_PUBLIC] = {"bytes.store.public", "public", "bytes kept in public repos", MEASURE_HELD, DELETE, NULL,
                           true},
    [UNIT_STORE_PRIVATE] = {"bytes.store.private", "private", "bytes kept in private repos", MEASURE_HELD, DELETE, NULL,
                            true},
    [UNIT_STORE_GATED] = {"bytes.store.gated", "gated", "bytes kept in gated repos", MEASURE_HELD, DELETE, NULL, true},
    [UNIT_REPOS] = {"repo.count", "repos", "repos", MEASURE_HELD, DELETE, NULL, true},
    [UNIT_PARALLEL] = {"conn.parallel", "parallel", "requests at once", MEASURE_NOW, 1, TOO_MANY, NULL, NULL},
    [UNIT_REQUESTS] = {"gate.request.open", "requests", "open requests for access", MEASURE_HELD, 1, TOO_MANY,
                       "Wait until one is decided, or withdraw one", open_requests_sql},
    [UNIT_VERIFY] = {"verify.bytes", "verify", "bytes read again to verify uploads", MEASURE_SPAN, 1, TOO_LARGE, NULL,
                     NULL, true},
    [UNIT_SCAN] = {"scan.seconds", "scan", "seconds of inspection of uploads", MEASURE_SPAN, 1000000, TOO_LARGE, NULL,
                   NULL, true},
};

enum unit unit_named(struct str name)
{
    for (enum unit unit = 1; unit < UNITS; unit++)
        if (str_eq(name, str_of(unit_specs[unit].name)))
            return unit;
    return UNIT_NONE;
}

/* Asking (GET), and all else. An action that is missing here counts as one of changes; the unit test asks for the entry. */
static const struct {
    enum unit asks, other;
} of_action[ACTIONS] = {
    [ACT_PUBLIC] = {UNIT_PAGE, UNIT_PAGE},      [ACT_LIST] = {UNIT_API, UNIT_API},
    [ACT_APPEAL] = {UNIT_API, UNIT_WRITE},      [ACT_SELF] = {UNIT_API, UNIT_WRITE},
    [ACT_SELF_CHANGE] = {UNIT_API, UNIT_WRITE}, [ACT_CREATE] = {UNIT_API, UNIT_WRITE},
    [ACT_GOVERN] = {UNIT_API, UNIT_WRITE},      [ACT_COUNTERSIGN] = {UNIT_API, UNIT_WRITE},
    [ACT_SEE] = {UNIT_API, UNIT_API}, /* questions whose words stand in a body, too */
    [ACT_READ] = {UNIT_RESOLVE, UNIT_RESOLVE},  [ACT_APPLY] = {UNIT_API, UNIT_WRITE},
    [ACT_ATTEST] = {UNIT_API, UNIT_WRITE},      [ACT_TAKE_PART] = {UNIT_API, UNIT_WRITE},
    [ACT_PROPOSE] = {UNIT_API, UNIT_WRITE},     [ACT_WRITE] = {UNIT_API, UNIT_WRITE},
    [ACT_ADMINISTER] = {UNIT_API, UNIT_WRITE},
};

enum unit unit_of_action(enum action action, bool asks)
{
    assert((unsigned)action < ACTIONS);
    enum unit unit = asks ? of_action[action].asks : of_action[action].other;
    return unit ? unit : UNIT_WRITE;
}

bool unit_knows_action(enum action action)
{
    return of_action[action].asks && of_action[action].other;
}
