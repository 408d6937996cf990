/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rule 2: every route asks the door, for an action that fits what it does. A new route that would not fails here. */
#include "../../../src/modules.c"
#include "hub/handlers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

typedef void route_check(const struct route *route);

static void each_route(route_check *check)
{
    size_t count = 0;
    for (const struct module *const *module = modules; *module; module++)
        for (const struct route *route = (*module)->routes; route && route->pattern; route++, count++)
            check(route);
    assert_true(count > 30);
}

#define EXPECT(route, condition, reason)                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            fail_msg("%s %s: %s", http_method_name((route)->method), (route)->pattern, reason);                        \
    } while (0)

static bool names_repo(const struct route *route)
{
    return strstr(route->pattern, "{api}") || strstr(route->pattern, "{web}");
}

/* The actions from ACT_SEE on are about a repo (access.h). */
static bool about_repo(const struct route *route)
{
    return route->action >= ACT_SEE;
}

/* ---- what may be asked for less than ACT_READ, and why ---------------------------------------- */

static const struct {
    route_handler *handle;
    enum action action;
    const char *reason;
} open_routes[] = {
    {landing, ACT_PUBLIC, "how to use the hub"},
    {health, ACT_PUBLIC, "whether the hub is there"},
    {metrics, ACT_PUBLIC, "counts without names"},
    {agent_harnesses, ACT_PUBLIC, "the same two empty lists for everybody"},
    {telemetry, ACT_PUBLIC, "nothing"},
    {validate_yaml, ACT_PUBLIC, "the caller's own text"},
    {whoami, ACT_SELF, "the caller"},
    {repos_mine, ACT_SELF, "the caller's repos"},
    {repos_of_org, ACT_SELF, "repos that the caller may see: each is asked for"},
    {repos_create, ACT_CREATE, "a repo that is not there yet"},
    {list_repos, ACT_LIST, "repos that the caller may see: each is asked for"},
    {info_get, ACT_SEE, "metadata"},
    {info_get_revision, ACT_SEE, "metadata"},
    {tree_get, ACT_SEE, "names, sizes and hashes of files"},
    {paths_info, ACT_SEE, "names, sizes and hashes of files"},
    {refs_get, ACT_SEE, "names of branches and tags"},
    {commits_get, ACT_SEE, "titles of commits"},
    {lfs_locks, ACT_SEE, "that there are no locks"},
};

static void check_open(const struct route *route)
{
    bool listed = false;
    for (size_t i = 0; i < sizeof open_routes / sizeof *open_routes; i++)
        listed = listed || (route->handle == open_routes[i].handle && route->action == open_routes[i].action);
    EXPECT(route, listed || route->action >= ACT_READ,
           "asks for less than ACT_READ. If it reaches no bytes, list it here with the reason");
}

static void routes_that_reach_bytes_need_the_right_to_read(void **state)
{
    (void)state;
    each_route(check_open);
}

/* ---- what may change something without a key -------------------------------------------------- */

static const struct {
    route_handler *handle;
    const char *reason;
} keyless[] = {
    {validate_yaml, "looks at a text and keeps nothing"},
    {paths_info, "a question whose words stand in the body"},
    {lfs_batch, "a question too; for uploads it asks for ACT_PROPOSE itself"},
    {lfs_locks, "refuses everybody"},
};

static void check_change(const struct route *route)
{
    bool listed = route->method == HTTP_GET;
    for (size_t i = 0; i < sizeof keyless / sizeof *keyless; i++)
        listed = listed || route->handle == keyless[i].handle;
    EXPECT(route, listed || route->action == ACT_SELF || route->action == ACT_CREATE || route->action >= ACT_PROPOSE,
           "changes something for everybody. If it does not, list it here with the reason");
}

static void routes_that_change_something_need_a_key(void **state)
{
    (void)state;
    each_route(check_change);
}

/* ---- that the door can be asked at all -------------------------------------------------------- */

static void check_object(const struct route *route)
{
    EXPECT(route, route->handle, "has no handler");
    EXPECT(route, (unsigned)route->action < ACTIONS, "asks for an action that is none");
    if (names_repo(route))
        EXPECT(route, about_repo(route), "names a repo but asks for an action that is not about one");
    if (about_repo(route))
        EXPECT(route, names_repo(route) + route->object_in_body + (route->signed_by != NULL) == 1,
               "needs exactly one way to say which repo it is about");
    if (route->action == ACT_CREATE)
        EXPECT(route, route->object_in_body, "creates in a name space that stands in the body, and does not say so");
    if (route->object_in_body)
        EXPECT(route, route->method != HTTP_GET && route->action >= ACT_CREATE, "has nothing to name in a body");
}

static void every_action_on_a_repo_has_its_repo(void **state)
{
    (void)state;
    each_route(check_object);
}

static void check_signed(const struct route *route)
{
    bool transfer = strncmp(route->pattern, "/transfer/", 10) == 0;
    EXPECT(route, transfer == (route->signed_by != NULL), "signed addresses, and only they, begin with /transfer/");
    if (transfer) {
        EXPECT(route, route->signed_by == transfer_signed, "checks another signature than the hub's");
        EXPECT(route, route->action >= ACT_READ, "moves bytes without the right to read them");
        EXPECT(route, route->method == HTTP_GET || route->action >= ACT_PROPOSE, "takes bytes from everybody");
    }
}

static void signed_addresses_still_ask_the_door(void **state)
{
    (void)state;
    each_route(check_signed);
}

/* ---- that a path leads to one route ----------------------------------------------------------- */

/* A path that the pattern is meant for. */
static const char *sample_of(const char *pattern)
{
    static char path[512];
    static const struct {
        const char *hole, *filling;
    } fillings[] = {
        {"{api}", "models/ns/name"}, {"{web}", "ns/name"}, {"{kind}", "models"}, {"{path*}", "folder/file"}};
    size_t len = 0;
    while (*pattern) {
        const char *filling = "some", *end = strchr(pattern, '}');
        if (*pattern != '{' || !end) {
            path[len++] = *pattern++;
            continue;
        }
        for (size_t i = 0; i < sizeof fillings / sizeof *fillings; i++)
            if (strncmp(pattern, fillings[i].hole, strlen(fillings[i].hole)) == 0)
                filling = fillings[i].filling;
        len += (size_t)snprintf(path + len, sizeof path - len, "%s", filling);
        pattern = end + 1;
    }
    path[len] = '\0';
    return path;
}

static size_t params_of(const char *pattern)
{
    size_t holes = 0;
    for (const char *at = pattern; (at = strchr(at, '{')); at++)
        holes += strncmp(at, "{api}", 5) != 0 && strncmp(at, "{web}", 5) != 0;
    return holes;
}

static void check_pattern(const struct route *route)
{
    auto_arena struct arena arena = {0};
    struct pattern_match m;
    const char *path_hole = strstr(route->pattern, "{path*}");
    EXPECT(route, route->pattern[0] == '/', "does not begin with a slash");
    EXPECT(route, params_of(route->pattern) <= PATTERN_PARAMS, "has more parameters than a request can hold");
    EXPECT(route, !path_hole || path_hole[7] == '\0', "goes on behind {path*}, which takes all the rest");
    EXPECT(route, pattern_match(&arena, route->pattern, str_of(sample_of(route->pattern)), &m), "matches nothing");
    for (size_t i = 0; i < PATTERN_PARAMS; i++)
        EXPECT(route, str_given(m.params[i]) == (i < params_of(route->pattern)), "does not fill its parameters");
}

static void every_pattern_can_be_matched(void **state)
{
    (void)state;
    each_route(check_pattern);
}

static const struct route *one;

static void check_pair(const struct route *other)
{
    auto_arena struct arena arena = {0};
    struct pattern_match m;
    if (other == one || other->method != one->method)
        return;
    EXPECT(one, !pattern_match(&arena, other->pattern, str_of(sample_of(one->pattern)), &m), other->pattern);
}

static void check_alone(const struct route *route)
{
    one = route;
    each_route(check_pair);
}

static void no_two_routes_take_the_same_request(void **state)
{
    (void)state;
    each_route(check_alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_that_reach_bytes_need_the_right_to_read),
        cmocka_unit_test(routes_that_change_something_need_a_key),
        cmocka_unit_test(every_action_on_a_repo_has_its_repo),
        cmocka_unit_test(signed_addresses_still_ask_the_door),
        cmocka_unit_test(every_pattern_can_be_matched),
        cmocka_unit_test(no_two_routes_take_the_same_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
