/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A database with the tables that quotas need, one account, and a tier that limits it. */
#ifndef CAIRN_TESTS_UNIT_QUOTA_TOWN_H
#define CAIRN_TESTS_UNIT_QUOTA_TOWN_H

#include "../db/helper.h"
#include "base/time.h"
#include "module.h"
#include "quota/quota.h"
#include "repo/repo.h"

/* The timers of this part, as modules.c would list them. */
static const struct module only_quota = {.name = "quota", .timers = quota_timers};
const struct module *const modules[] = {&only_quota, NULL};

struct town {
    struct folder *folder;
    struct db *db;
    struct arena arena;
    int64_t ada;
};

static inline void town_open(struct town *town)
{
    const struct migration_set sets[] = {event_migrations, identity_migrations, timer_migrations, store_migrations,
                                         repo_migrations,  access_migrations,   quota_migrations};
    quota_watch();
    GOOD(db_open(town->folder->db, &town->db, err));
    GOOD(db_migrate(town->db, sets, sizeof sets / sizeof *sets, err));
}

static inline int town_setup(void **state)
{
    struct town *town = calloc(1, sizeof *town);
    *state = town;
    if (folder_setup((void **)&town->folder) != 0)
        return -1;
    town_open(town);
    struct account_new new = {.kind = ACCOUNT_USER, .name = STR("ada")};
    GOOD(account_create(town->db, &new, 0, &town->ada, err));
    return 0;
}

static inline int town_teardown(void **state)
{
    struct town *town = *state;
    clock_travel(0);
    db_close(town->db);
    folder_teardown((void **)&town->folder);
    arena_free(&town->arena);
    free(town);
    return 0;
}
#define in_town(test) cmocka_unit_test_setup_teardown(test, town_setup, town_teardown)

/* From now on the tier of everybody has these limits: JSON, with ' for ". */
static inline void limit(struct town *town, const char *limits)
{
    char text[4096], sql[8192];
    uint8_t digest[SHA256_SIZE];
    snprintf(text, sizeof text,
             "{\"slug\":\"basic\",\"name\":\"Basic\",\"purpose\":\"All.\",\"order\":1,\"limits\":[%s]}", limits);
    for (char *c = text; *c; c++)
        *c = *c == '\'' ? '"' : *c;
    sha256(str_of(text), digest);
    char hex[2 * SHA256_SIZE + 1];
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    snprintf(sql, sizeof sql,
             "INSERT INTO tier (id, slug) VALUES (1, 'basic') ON CONFLICT DO NOTHING;"
             "INSERT INTO tier_version (tier_id, seq, body, sha256, effective_us, by_id, created_us) VALUES (1, "
             "(SELECT coalesce(max(seq), 0) + 1 FROM tier_version), '%s', X'%s', 0, 0, 0)",
             text, hex);
    GOOD(script(town->db, sql, err));
}

struct asking {
    struct quota_ask ask;
    enum status (*what)(struct db_conn *tx, const struct quota_ask *ask, struct error *err);
};
static inline enum status asking_in_write(struct db_conn *tx, void *context, struct error *err)
{
    const struct asking *asking = context;
    return asking->what(tx, &asking->ask, err);
}
static inline enum status ask(struct town *town, const char *key, int64_t amount,
                              enum status (*what)(struct db_conn *tx, const struct quota_ask *ask, struct error *err),
                              struct error *err)
{
    struct asking asking = {{str_of(key), town->ada, 0, UNIT_STORE_PUBLIC, amount, now_us() + QUOTA_LEASE_US}, what};
    return db_write(town->db, asking_in_write, &asking, err);
}
static inline enum status reserve(struct town *town, const char *key, int64_t amount, struct error *err)
{
    return ask(town, key, amount, quota_reserve, err);
}
static inline enum status commit(struct town *town, const char *key, int64_t amount, struct error *err)
{
    return ask(town, key, amount, quota_commit, err);
}
static inline enum status release_of(struct db_conn *tx, const struct quota_ask *ask, struct error *err)
{
    return quota_release(tx, ask->key, err);
}

static inline struct quota_use use_of(struct town *town, int64_t account_id, enum unit unit)
{
    auto_conn struct db_conn *conn = NULL;
    struct quota_use use;
    GOOD(db_reader(town->db, &conn, err));
    GOOD(quota_used(conn, account_id, unit, 0, &use, err));
    return use;
}
#define USES(used_, reserved_)                                                                                         \
    do {                                                                                                               \
        struct quota_use use_ = use_of(town, town->ada, UNIT_STORE_PUBLIC);                                            \
        assert_int_equal(use_.used, used_);                                                                            \
        assert_int_equal(use_.reserved, reserved_);                                                                    \
    } while (0)

#endif
