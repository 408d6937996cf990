/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rule 2: every route asks the door, for an action that fits what it does. A new route that would not fails here. */
#include "../../../src/modules.c"
#include "attest/internal.h"
#include "bom/internal.h"
#include "gate/handlers.h"
#include "grant/internal.h"
#include "hub/handlers.h"
#include "lineage/internal.h"
#include "misuse/internal.h"
route_handler userinfo_bearer; /* oidc/handlers.h */
#include "record/internal.h"
#include "terms/internal.h"
#include "tier/api.h"
#include "witness/handlers.h"
#include "xet/handlers.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* What is wrong with a route; NULL when nothing is. */
typedef const char *route_check(const struct route *route);

static void each_route(route_check *check)
{
    size_t count = 0;
    for (const struct module *const *module = modules; *module; module++)
        for (const struct route *route = (*module)->routes; route && route->pattern; route++, count++) {
            const char *reason = check(route);
            if (reason)
                fail_msg("%s %s: %s", http_method_name(route->method), route->pattern, reason);
        }
    assert_true(count > 30);
}

#define EXPECT(condition, reason)                                                                                      \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            return reason;                                                                                             \
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

/* What may be asked for less than ACT_READ, and why. */

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
    {xet_telemetry, ACT_PUBLIC, "nothing"},
    {witness_add, ACT_PUBLIC, "nothing: it takes checkpoints that a log has signed"},
    {witness_vkey, ACT_PUBLIC, "a public key"},
    {witness_latest, ACT_PUBLIC, "a checkpoint of another log, which is public"},
    {log_checkpoint, ACT_PUBLIC, "the size and root of the log"},
    {log_stream, ACT_PUBLIC, "the same, as they come"},
    {log_vkey, ACT_PUBLIC, "a public key"},
    {leaf_proof_get, ACT_SELF, "entries of the log that are the caller's own"},
    {log_tile, ACT_PUBLIC, "hashes, and leaves, which name nobody"},
    {history_get, ACT_SEE, "what the log says of the repo, and its names"},
    {head_get, ACT_SEE, "a hash"},
    {proof_get, ACT_SEE, "names, sizes and hashes of files"},
    {leaf_proof_get, ACT_SEE, "a leaf about the repo, and its names"},
    {tiers_get, ACT_LIST, "what everybody may use, which is public"},
    {tier_get, ACT_LIST, "the same"},
    {usage_get, ACT_SELF, "what the caller uses"},
    {applications_get, ACT_SELF, "the caller's applications; all of them for administrators of the hub"},
    {application_post, ACT_SELF_CHANGE, "the caller's application"},
    {application_decide, ACT_SELF_CHANGE, "no repo: administrators of the hub decide"},
    {application_withdraw, ACT_SELF_CHANGE, "the caller's application"},
    {holder_post, ACT_SELF_CHANGE, "no repo: administrators of the hub"},
    {tier_appeal_post, ACT_SELF_CHANGE, "the caller's own tier"},
    {pools_get, ACT_LIST, "totals without names"},
    {pool_get, ACT_LIST, "totals without names"},
    {pool_ledger, ACT_LIST, "amounts without names"},
    {pool_post, ACT_SELF_CHANGE, "no repo: administrators of the hub"},
    {pool_wish, ACT_SELF_CHANGE, "the caller's wish"},
    {signals_get, ACT_LIST, "the rules of what is called misuse"},
    {cases_get, ACT_APPEAL, "the caller's cases; all of them for administrators of the hub"},
    {case_appeal, ACT_APPEAL, "the caller's own case"},
    {case_confirm, ACT_SELF_CHANGE, "the caller's own case"},
    {case_decide, ACT_SELF_CHANGE, "no repo: administrators of the hub"},
    {leaked_post, ACT_PUBLIC, "a key that the caller has in hand"},
    {payment_post, ACT_PUBLIC, "what a payment provider has signed"},
    {validate_yaml, ACT_PUBLIC, "the caller's own text"},
    {whoami, ACT_SELF, "the caller"},
    {pseudonyms_get, ACT_SELF, "which entries of the log are the caller's own"},
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
    {rules_get, ACT_SEE, "which branches are protected, and how"},
    {pulls_get, ACT_SEE, "titles of pull requests"},
    {pull_get_one, ACT_SEE, "the title of a pull request, and where it stands"},
    {lfs_locks, ACT_SEE, "that there are no locks"},
    {attestation_key_get, ACT_PUBLIC, "a public key"},
    {oms_statement_get, ACT_SEE, "names and hashes of files"},
    {oms_list, ACT_SEE, "who has signed"},
    {oms_bundle_get, ACT_SEE, "names and hashes of files, signed"},
    {signer_mine, ACT_SELF, "the caller's public keys"},
    {signer_add, ACT_SELF_CHANGE, "the caller's public key"},
    {signer_revoke, ACT_SELF_CHANGE, "the caller's public key"},
    {statements_get, ACT_SEE, "what people have signed about a commit"},
    {releases_get, ACT_SEE, "versions of a repo, and their commits"},
    {deployments_get, ACT_SEE, "which commits run where"},
    {evidence_read, ACT_SEE, "what people have signed"},
    {lineage_get, ACT_SEE, "who says what it was made from; for shared tensors it asks for ACT_READ itself"},
    {bom_get, ACT_SEE, "names, sizes and hashes of files"},
    {terms_list, ACT_LIST, "texts that people agree to, which are public"},
    {terms_text_get, ACT_LIST, "one of them; those that wait ask for ACT_COUNTERSIGN themselves"},
    {terms_post, ACT_GOVERN, "the caller's own text"},
    {terms_countersign, ACT_COUNTERSIGN, "a text that the caller has read"},
    {terms_of_repo, ACT_SEE, "which texts a repo's gate asks for, and what the caller has accepted"},
    {receipts_list, ACT_SELF, "what the caller has accepted"},
    {receipt_get, ACT_SELF, "what the caller has accepted, signed"},
    {gate_show, ACT_SEE, "what a gate asks for, and where the caller stands"},
    {ask_get, ACT_SEE, "the same as a page"},
    {access_requests_mine, ACT_SELF, "the caller's requests"},
    {group_list, ACT_GOVERN, "gates of a name space that the caller governs"},
    {group_show, ACT_GOVERN, "what such a gate asks for"},
    {group_put, ACT_GOVERN, "the caller's own policy"},
    {group_state_post, ACT_GOVERN, "whether such a gate is open"},
    {group_repos, ACT_GOVERN, "names of repos behind it"},
    {group_repo_add, ACT_GOVERN, "which repos are behind it"},
    {group_repo_remove, ACT_GOVERN, "which repos are behind it"},
    {grants_mine, ACT_SELF, "the caller's grants"},
    {grant_surrender, ACT_SELF, "the caller's grant, which ends"},
};

/* The same by pattern, for parts whose handlers are their own business. */
static const struct {
    const char *pattern;
    enum action action;
    const char *reason;
} open_patterns[] = {
    {"/api/settings/keys", ACT_SELF_CHANGE, "the caller's keys, without their secrets"},
    {"/api/settings/keys/{name}/rotate", ACT_SELF_CHANGE, "the caller's key"},
    {"/api/settings/keys/{name}", ACT_SELF_CHANGE, "the caller's key"},
    {"/api/sessions", ACT_PUBLIC, "a session, for who shows a password or passkey"},
    {"/api/sessions", ACT_SELF_CHANGE, "the caller's sessions"},
    {"/api/sessions/{name}", ACT_SELF_CHANGE, "the caller's session"},
    {"/api/sessions/challenge", ACT_LIST, "random bytes"},
    {"/api/sessions/step-up", ACT_SELF, "the caller's session"},
    {"/api/settings/password", ACT_SELF_CHANGE, "the caller's password"},
    {"/api/settings/totp", ACT_SELF_CHANGE, "the caller's second factor"},
    {"/api/settings/totp/confirm", ACT_SELF_CHANGE, "the caller's second factor"},
    {"/api/settings/passkeys", ACT_SELF_CHANGE, "the caller's passkeys"},
    {"/api/settings/passkeys/{name}", ACT_SELF_CHANGE, "the caller's passkey"},
    {"/signin", ACT_LIST, "a page to sign in"},
    {"/signin", ACT_PUBLIC, "a session, for who shows a password"},
    {"/signin/out", ACT_SELF, "the caller's session, which ends"},
    {"/signin/page.js", ACT_PUBLIC, "a script of ours"},
    {"/signin/page.css", ACT_PUBLIC, "a style of ours"},
    {"/oauth/device", ACT_PUBLIC, "two codes that nobody has allowed yet"},
    {"/device", ACT_LIST, "a page that asks for a code"},
    {"/device", ACT_SELF_CHANGE, "a key of the caller's, for a device"},
    {"/oauth/token", ACT_PUBLIC, "what somebody has allowed, for who has the code, or is the job"},
    {"/.well-known/openid-configuration", ACT_PUBLIC, "addresses"},
    {"/oauth/jwks", ACT_PUBLIC, "a public key"},
    {"/oauth/authorize", ACT_LIST, "a page that asks for consent"},
    {"/oauth/authorize", ACT_SELF_CHANGE, "the caller's consent"},
    {"/oauth/userinfo", ACT_SELF, "the caller's name, for whom the caller allowed it"},
    {"/api/settings/oauth-apps", ACT_SELF_CHANGE, "the caller's sites"},
    {"/api/settings/oauth-apps/{name}", ACT_SELF_CHANGE, "the caller's site"},
    {"/api/settings/trusted-publishers", ACT_SELF_CHANGE, "which jobs the caller has let in"},
    {"/api/settings/trusted-publishers/{id}", ACT_SELF_CHANGE, "jobs that the caller has let in"},
    {"/signin/oidc", ACT_LIST, "the way to an outside provider"},
    {"/signin/oidc", ACT_SELF_CHANGE, "the caller's account there"},
    {"/signin/oidc/callback", ACT_LIST, "a session, for whom the outside provider vouches"},
    {"/api/settings/oidc", ACT_SELF_CHANGE, "the caller's account there"},
    {"/api/notices", ACT_SELF, "what the caller is told"},
    {"/api/notices/{id}", ACT_SELF, "what the caller is told"},
    {"/api/receipts", ACT_SELF, "what the caller has accepted"},
    {"/api/receipts/{name}", ACT_SELF, "what the caller has accepted"},
    {"/api/grants", ACT_SELF, "the caller's grants"},
    {"/api/grants/{id}/surrender", ACT_SELF, "the caller's grant"},
    {"/api/grants/{grant}/appeal", ACT_SELF, "the caller's grant"},
    {"/api/{api}/gate", ACT_SEE, "what a gate asks for"},
    {"/api/gates/{name}", ACT_GOVERN, "names of groups, for their owner"},
    {"/api/gates/{name}/{name}", ACT_GOVERN, "what a group asks for, for its owner"},
    {"/api/gates/{name}/{name}/state", ACT_GOVERN, "whether a group is open"},
    {"/api/gates/{name}/{name}/repos", ACT_GOVERN, "names of the owner's repos"},
    {"/{web}/ask-access", ACT_SEE, "what a gate asks for"},
    {"/api/access-requests", ACT_SELF, "the caller's requests"},
    {"/api/{api}/gate/figures", ACT_SEE, "counts, none of less than twenty people"},
    {"/api/settings/conflicts", ACT_SELF, "what the caller has declared"},
    {"/api/settings/conflicts/{id}", ACT_SELF, "what the caller has declared"},
    {"/api/reviews", ACT_SELF, "cases that the caller was drawn for"},
    {"/api/reviews/seeds", ACT_LIST, "hashes of seeds, and seeds of the past"},
    {"/api/reviews/{assignment}", ACT_SELF, "a case that the caller was drawn for"},
    {"/api/reviews/{assignment}/scores", ACT_SELF, "a case that the caller was drawn for"},
    {"/api/reviews/{assignment}/ask", ACT_SELF, "a case that the caller was drawn for"},
    {"/api/reviews/{assignment}/recuse", ACT_SELF, "a case that the caller was drawn for"},
    {"/api/reviews/{assignment}/identity", ACT_SELF, "a case that the caller was drawn for"},
    {"/api/appeals", ACT_SELF, "appeals of the caller, or that the caller was drawn for"},
    {"/api/appeals/{appeal}", ACT_SELF, "an appeal of the caller, or that the caller was drawn for"},
    {"/api/appeals/{appeal}/first-look", ACT_SELF, "an appeal that the caller was drawn for"},
    {"/api/appeals/{appeal}/recuse", ACT_SELF, "an appeal that the caller was drawn for"},
    {"/api/appeals/{appeal}/withdraw", ACT_SELF, "an appeal of the caller"},
    {"/api/appeals/{appeal}/board", ACT_SELF, "an appeal of the caller"},
    {"/api/{api}/access", ACT_SEE, "what the door says to the caller"},
    {"/api/reads", ACT_SELF, "what the caller has read"},
    {"/api/reads/{id}/proof", ACT_SELF, "what the caller has read"},
    {"/api/{api}/federate", ACT_SEE, "how far a training is, in numbers"},
    {"/api/{api}/recalls", ACT_SEE, "commits, and what is wrong with them"},
    {"/api/enforcement", ACT_SELF, "what was done about the caller"},
    {"/api/enforcement/{id}/appeal", ACT_SELF, "what was done about the caller"},
    {"/api/enforcement/looks", ACT_SELF, "steps of enforcement, for administrators of the hub"},
    {"/api/enforcement/{id}/look", ACT_SELF, "a step of enforcement, for administrators of the hub"},
    {"/misuse", ACT_LIST, "a page about what looks misused of the caller's"},
    {"/misuse", ACT_APPEAL, "what the caller says of that"},
    {"/api/keys/honey", ACT_SELF_CHANGE, "a key that opens nothing"},
    {"/api/holds", ACT_SELF, "names of repos that the caller has a part in"},
    {"/api/holds/{id}", ACT_SELF, "a hold that the caller has a part in"},
};

static bool is_open_pattern(const struct route *route)
{
    for (size_t i = 0; i < sizeof open_patterns / sizeof *open_patterns; i++)
        if (strcmp(route->pattern, open_patterns[i].pattern) == 0 && route->action == open_patterns[i].action)
            return true;
    return false;
}

static const char *check_open(const struct route *route)
{
    bool listed = is_open_pattern(route);
    for (size_t i = 0; i < sizeof open_routes / sizeof *open_routes; i++)
        listed = listed || (route->handle == open_routes[i].handle && route->action == open_routes[i].action);
    EXPECT(listed || route->action >= ACT_READ,
           "asks for less than ACT_READ. If it reaches no bytes, list it here with the reason");
    return NULL;
}

static void routes_that_reach_bytes_need_the_right_to_read(void **state)
{
    (void)state;
    each_route(check_open);
}

/* What may change something without a key. */

static const struct {
    route_handler *handle;
    const char *reason;
} keyless[] = {
    {validate_yaml, "looks at a text and keeps nothing"},
    {xet_telemetry, "keeps nothing"},
    {leaked_post, "ends the key that the caller has in hand, and could use"},
    {payment_post, "believes only what a payment provider has signed"},
    {witness_add, "remembers what a log has signed, and nothing else"},
    {paths_info, "a question whose words stand in the body"},
    {lfs_batch, "a question too; for uploads it asks for ACT_PROPOSE itself"},
    {lfs_locks, "refuses everybody"},
};

/* The same by pattern. */
static const char *const keyless_patterns[] = {
    "/api/sessions",           /* believes a password or a passkey */
    "/api/sessions/challenge", /* keeps a challenge for five minutes, of which it keeps so many */
    "/signin",                 /* believes a password */
    "/oauth/device",           /* keeps a code, of which a network may have twenty */
    "/oauth/token",            /* believes a code that somebody has allowed, and a job that an owner has described */
};

static const char *check_change(const struct route *route)
{
    bool listed = route->method == HTTP_GET;
    for (size_t i = 0; i < sizeof keyless_patterns / sizeof *keyless_patterns; i++)
        listed = listed || strcmp(route->pattern, keyless_patterns[i]) == 0;
    for (size_t i = 0; i < sizeof keyless / sizeof *keyless; i++)
        listed = listed || route->handle == keyless[i].handle;
    EXPECT(listed || route->action == ACT_APPEAL || route->action == ACT_SELF || route->action == ACT_SELF_CHANGE || route->action == ACT_CREATE ||
               route->action == ACT_GOVERN || route->action == ACT_COUNTERSIGN || route->action >= ACT_APPLY,
           "changes something for everybody. If it does not, list it here with the reason");
    return NULL;
}

static void routes_that_change_something_need_a_key(void **state)
{
    (void)state;
    each_route(check_change);
}

/* That the door can be asked at all. */

static const char *check_object(const struct route *route)
{
    EXPECT(route->handle, "has no handler");
    EXPECT((unsigned)route->action < ACTIONS, "asks for an action that is none");
    if (names_repo(route))
        EXPECT(about_repo(route), "names a repo but asks for an action that is not about one");
    if (about_repo(route))
        EXPECT(names_repo(route) + route->object_in_body + (route->signed_by != NULL) == 1,
               "needs exactly one way to say which repo it is about");
    if (route->action == ACT_CREATE)
        EXPECT(route->object_in_body, "creates in a name space that stands in the body, and does not say so");
    if (route->object_in_body)
        EXPECT((route->method != HTTP_GET || route->action == ACT_GOVERN) && route->action >= ACT_CREATE,
               "has nothing to name in a body"); /* a name space also stands in the address */
    return NULL;
}

static void every_action_on_a_repo_has_its_repo(void **state)
{
    (void)state;
    each_route(check_object);
}

/* Requests that carry their own authority, and who looks at it. The first that fits counts. */
static const struct {
    const char *prefix;
    route_handler *signed_by;
} signed_spaces[] = {
    {"/transfer/", transfer_signed},
    {"/xet/data/", data_signed},
    {"/xet/", xet_token_check},
    {"/oauth/userinfo", userinfo_bearer},
};

static route_handler *signature_of(const struct route *route)
{
    for (size_t i = 0; i < sizeof signed_spaces / sizeof *signed_spaces; i++)
        if (strncmp(route->pattern, signed_spaces[i].prefix, strlen(signed_spaces[i].prefix)) == 0)
            return signed_spaces[i].signed_by;
    return NULL;
}

static const char *check_signed(const struct route *route)
{
    EXPECT(route->signed_by == signature_of(route),
           "does not have its authority checked in the way that requests to such an address have");
    if (route->signed_by && route->action != ACT_SELF) {
        EXPECT(route->action >= ACT_READ, "moves bytes without the right to read them");
        EXPECT(route->method == HTTP_GET || route->action >= ACT_PROPOSE, "takes bytes from everybody");
    }
    return NULL;
}

static void signed_addresses_still_ask_the_door(void **state)
{
    (void)state;
    each_route(check_signed);
}

/* That a path leads to one route. */

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

static const char *check_pattern(const struct route *route)
{
    auto_arena struct arena arena = {0};
    struct pattern_match m;
    const char *path_hole = strstr(route->pattern, "{path*}");
    EXPECT(route->pattern[0] == '/', "does not begin with a slash");
    EXPECT(params_of(route->pattern) <= PATTERN_PARAMS, "has more parameters than a request can hold");
    EXPECT(!path_hole || path_hole[7] == '\0', "goes on behind {path*}, which takes all the rest");
    EXPECT(pattern_match(&arena, route->pattern, str_of(sample_of(route->pattern)), &m), "matches nothing");
    for (size_t i = 0; i < PATTERN_PARAMS; i++)
        EXPECT(str_given(m.params[i]) == (i < params_of(route->pattern)), "does not fill its parameters");
    return NULL;
}

static void every_pattern_can_be_matched(void **state)
{
    (void)state;
    each_route(check_pattern);
}

static bool is_before(const struct module *module, const struct route *one, const struct route *other)
{
    bool seen = false;
    for (const struct route *route = module->routes; route->pattern && route != other; route++)
        seen = seen || route == one;
    return seen;
}

static const char *check_alone(const struct route *one)
{
    auto_arena struct arena arena = {0};
    struct pattern_match m;
    const char *sample = sample_of(one->pattern);
    for (const struct module *const *module = modules; *module; module++)
        for (const struct route *other = (*module)->routes; other && other->pattern; other++)
            /* What stands before another one in the same table goes first, as the more particular one may. */
            if (other != one && other->method == one->method && !is_before(*module, one, other))
                EXPECT(!pattern_match(&arena, other->pattern, str_of(sample), &m), other->pattern);
    return NULL;
}

static void no_two_routes_take_the_same_request(void **state)
{
    (void)state;
    each_route(check_alone);
}

/* That these checks would notice. */

static enum status no_handler(struct request *rq, struct error *err)
{
    (void)rq;
    return err->status;
}

static void routes_that_slip_by_the_door_are_noticed(void **state)
{
    (void)state;
    static const struct {
        route_check *check;
        struct route route;
    } bad[] = {
        {check_open, {HTTP_GET, "/{web}/resolve/{rev}/{path*}", ACT_SEE, resolve_get}},
        {check_open, {HTTP_GET, "/secret", ACT_PUBLIC, no_handler}},
        {check_open, {HTTP_GET, "/all", ACT_LIST, no_handler}},
        {check_change, {HTTP_POST, "/api/{api}/like", ACT_SEE, no_handler}},
        {check_change, {HTTP_PUT, "/api/{api}/file", ACT_READ, no_handler}},
        {check_change, {HTTP_DELETE, "/cache", ACT_PUBLIC, no_handler}},
        {check_object, {HTTP_GET, "/api/{api}/x", ACT_LIST, no_handler}},
        {check_object, {HTTP_GET, "/api/{api}/x", ACT_SELF, no_handler}},
        {check_object, {HTTP_GET, "/download/{name}", ACT_READ, no_handler}},
        {check_object, {HTTP_POST, "/api/repos/copy", ACT_CREATE, no_handler}},
        {check_object, {HTTP_GET, "/api/repos/find", ACT_SEE, no_handler, .object_in_body = true}},
        {check_object, {HTTP_GET, "/api/{api}/x", ACT_READ, NULL}},
        {check_object, {HTTP_GET, "/{web}/x", ACT_READ, no_handler, .signed_by = transfer_signed}},
        {check_signed, {HTTP_GET, "/transfer/get/{sha256}", ACT_READ, no_handler}},
        {check_signed, {HTTP_GET, "/transfer/get/{sha256}", ACT_SEE, no_handler, .signed_by = transfer_signed}},
        {check_signed, {HTTP_PUT, "/transfer/put/{sha256}", ACT_READ, no_handler, .signed_by = transfer_signed}},
        {check_signed, {HTTP_GET, "/transfer/get/{sha256}", ACT_READ, no_handler, .signed_by = no_handler}},
        {check_signed, {HTTP_GET, "/get/{sha256}", ACT_READ, no_handler, .signed_by = transfer_signed}},
        {check_signed, {HTTP_GET, "/xet/data/{xorb}", ACT_READ, no_handler}},
        {check_signed, {HTTP_GET, "/xet/data/{xorb}", ACT_READ, no_handler, .signed_by = xet_token_check}},
        {check_signed, {HTTP_GET, "/xet/v1/files/{hash}", ACT_READ, no_handler, .signed_by = data_signed}},
        {check_signed, {HTTP_GET, "/xet/v1/files/{hash}", ACT_READ, no_handler}},
        {check_signed, {HTTP_POST, "/xet/v1/shards", ACT_READ, no_handler, .signed_by = xet_token_check}},
        {check_signed, {HTTP_GET, "/v1/files/{hash}", ACT_READ, no_handler, .signed_by = xet_token_check}},
        {check_pattern, {HTTP_GET, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}", ACT_PUBLIC, no_handler}},
        {check_pattern, {HTTP_GET, "/files/{path*}/info", ACT_PUBLIC, no_handler}},
        {check_pattern, {HTTP_GET, "healthz", ACT_PUBLIC, no_handler}},
        {check_alone, {HTTP_GET, "/api/{kind}", ACT_LIST, no_handler}},
        {check_alone, {HTTP_GET, "/{web}/resolve/{name}/{path*}", ACT_READ, no_handler}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!bad[i].check(&bad[i].route))
            fail_msg("nothing is said against route %zu, %s", i, bad[i].route.pattern);
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
        cmocka_unit_test(routes_that_slip_by_the_door_are_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
