/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "modules.h"
#include "attest/attest.h"
#include "base/file.h"
#include "bom/bom.h"
#include "federate/federate.h"
#include "fleet/fleet.h"
#include "gate/review.h"
#include "grant/grant.h"
#include "hub/hub.h"
#include "lineage/lineage.h"
#include "misuse/misuse.h"
#include "module.h"
#include "notice/notice.h"
#include "oidc/oidc.h"
#include "quota/quota.h"
#include "record/record.h"
#include "signin/signin.h"
#include "store/store.h"
#include "tensor/tensors.h"
#include "terms/terms.h"
#include "tier/tier.h"
#include "use/use.h"
#include "witness/handlers.h"
#include "xet/xet.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

/*
 * The house, from the ground up. A part is what its module.c declares: tables in the database, kinds of event, routes,
 * jobs. Read this list first, then the part you came for.
 */
extern const struct module event_module, identity_module, timer_module, store_module, prov_module, repo_module,
    access_module, quota_module;

const struct module *const modules[] = {
    &event_module,    /* the spine: what happened, in order */
    &identity_module, /* people, organisations, keys */
    &timer_module,    /* what is due */
    &store_module,    /* large files, by content */
    &repo_module,     /* names, git objects, refs */
    &access_module,   /* the door: gates, grants, blocks */
    &quota_module,    /* limits, and what counts against them */
    &prov_module,     /* from events to the leaves of the log */
    &tensor_module,   /* what models are made of, and who shares it */
    &witness_module,  /* other logs' checkpoints, cosigned */
    &record_module,   /* the log, and what it says of a repo */
    &lineage_module,  /* what it was made from, and who says so */
    &attest_module,   /* what people say of a commit, signed */
    &bom_module,      /* bills of material */
    &notice_module,   /* what people are told */
    &terms_module,    /* texts that people agree to */
    &grant_module,    /* rights with an end */
    &gate_module,     /* who is let in: gates, requests */
    &review_module,   /* who judges requests, and who hears appeals */
    &federate_module, /* training where the data are */
    &fleet_module,    /* the same, by clients of Flower */
    &use_module,      /* who has read what, recalls, broken terms, re-uploads */
    &signin_module,   /* keys as their holders see them, and signing in */
    &oidc_module,     /* OpenID Connect, both ways, and the device flow */
    &misuse_module,   /* keys that look misused, leaked keys, honey keys */
    &xet_module,      /* the Xet protocol: large files in chunks */
    &tier_module,     /* tiers: who may use how much of the hub */
    &hub_module,      /* the Hub protocol */
    NULL,
};

enum status hub_data_open(const char *dir, struct db **out, struct error *err)
{
    char path[4096];
    struct migration_set sets[32];
    size_t count = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/cairn.db", dir) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    quota_watch();
    TRY(folder_make(dir, 0700, err));
    TRY(db_open(path, out, err));
    for (const struct module *const *module = modules; *module; module++)
        if ((*module)->migrations) {
            assert(count < sizeof sets / sizeof *sets);
            sets[count++] = *(*module)->migrations;
        }
    enum status status = db_migrate(*out, sets, count, err);
    if (status != OK) {
        db_close(*out);
        *out = NULL;
    }
    return status;
}

/* A second one would hand out upload places that the first does not know of. */
enum status hub_data_lock(const char *dir, int *fd, struct error *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/serve.lock", dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return fail_errno(err, path);
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0)
        return fail(err, UNAVAILABLE, NULL, "Another cairn serve is running on %s", dir);
    return OK;
}

enum status hub_store_open(const char *dir, struct db **db, struct store **store, struct error *err)
{
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/store", dir) >= sizeof path)
        return fail(err, INVALID, NULL, "The name of the data folder is too long");
    TRY(hub_data_open(dir, db, err));
    return store_open(*db, path, store, err);
}
