/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hub with the organisation acme, its model acme/flora behind a gate, and short words for what is done with texts. */
#ifndef CAIRN_TESTS_TERMS_FIXTURE_H
#define CAIRN_TESTS_TERMS_FIXTURE_H

#include "../access/asked.h"
#include "../identity/helper.h"
#include "notice/notice.h"
#include "terms/internal.h"

#define MINUTE_US (60 * SECOND_US)
#define DAY (INT64_C(86400) * SECOND_US)

struct house {
    struct town *town;
    struct db *db;
    struct arena *arena;
    int64_t acme, ada, ben, gate;
    struct repo repo;
    int64_t ahead_us;
};

extern const struct module repo_module, access_module, timer_module, store_module;

static inline int house_setup(void **state)
{
    struct house *house = calloc(1, sizeof *house);
    struct town *town = calloc(1, sizeof *town);
    struct migration_set sets[16] = {event_migrations,          identity_migrations,
                                     timer_migrations,          *store_module.migrations,
                                     repo_migrations,           access_migrations,
                                     *notice_module.migrations, {"gate", (const char *const[]){ASKED_SQL, NULL}}};
    size_t count = 8;
    for (const struct module *const *module = modules; *module; module++)
        sets[count++] = *(*module)->migrations;
    if (folder_setup((void **)&town->folder) != 0 || db_open(town->folder->db, &town->db, NULL) != OK ||
        db_migrate(town->db, sets, count, NULL) != OK)
        return -1;
    house->town = town;
    house->db = town->db;
    house->arena = &town->arena;
    house->acme = add_org(town, "acme");
    house->ada = add_user(town, "ada");
    house->ben = add_user(town, "ben");
    const struct repo_new new = {.kind = KIND_MODEL,
                                 .owner_id = house->acme,
                                 .ns = STR("acme"),
                                 .name = STR("flora"),
                                 .visibility = VISIBILITY_PUBLIC,
                                 .by_id = house->acme,
                                 .by_name = STR("acme"),
                                 .by_email = STR("acme@example.org")};
    if (repo_create(town->db, &town->arena, &new, &house->repo, NULL) != OK)
        return -1;
    GOOD(
        script(town->db,
               "INSERT INTO gate (id, owner_id, state, version, policy_seq, created_us) SELECT 1, owner_id, 1, 1, 1, 1 "
               "FROM repo; INSERT INTO gate_repo (repo_id, gate_id) SELECT id, 1 FROM repo",
               err));
    house->gate = 1;
    *state = house;
    return 0;
}

static inline int house_teardown(void **state)
{
    struct house *house = *state;
    clock_travel(0);
    town_teardown((void **)&house->town);
    free(house);
    return 0;
}

#define in_house(test) cmocka_unit_test_setup_teardown(test, house_setup, house_teardown)

/* Everything that the clock brings by then. */
static inline void go_ahead(struct house *house, int64_t us)
{
    clock_travel(house->ahead_us += us);
}

/* Of the parts that are here; others' timers stay. */
static const char due_count_sql[] =
    "SELECT count(*) FROM timer WHERE due_us <= ? AND kind IN ('grant.clock', 'terms.walk')";

static inline int64_t count_of(struct house *house, const char *static_sql, int64_t parameter)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *row = NULL;
    GOOD(db_reader(house->db, &conn, err));
    GOOD(db_prepare(conn, static_sql, &row, err));
    stmt_bind_int(row, 1, parameter);
    int64_t count = stmt_next(row) ? stmt_int(row, 0) : -1;
    GOOD(stmt_end(row, err));
    return count;
}

static inline void run_timers(struct house *house)
{
    do {
        GOOD(timers_run(house->db, err));
    } while (count_of(house, due_count_sql, now_us()) > 0);
}

/* Texts. */

struct posting {
    const char *slug, *text, *german; /* german may be NULL */
    enum change change;
    int64_t effective_us, grace_us, by_id;
    bool confirmed;
};

static inline enum status post(struct house *house, const struct posting *posting, struct version_row *out,
                               struct error *err)
{
    struct publication what = {.arena = house->arena,
                               .change = posting->change,
                               .confirmed = posting->confirmed,
                               .summary = STR("A change."),
                               .effective_us = posting->effective_us,
                               .grace_us = posting->grace_us,
                               .count = posting->german ? 2 : 1,
                               .by_id = posting->by_id ? posting->by_id : house->acme,
                               .now_us = now_us()};
    struct version_row before = {0};
    struct terms_text *texts;
    size_t count;
    {
        auto_conn struct db_conn *conn = NULL;
        struct str old;
        TRY(db_reader(house->db, &conn, err));
        what.doc = (struct doc){.owner_id = house->acme, .slug = str_of(posting->slug), .kind = STR("licence")};
        what.doc.name = arena_printf(house->arena, "acme/%s", posting->slug);
        enum status found = doc_find(conn, house->arena, what.doc.name, &what.doc, NULL);
        if (found == OK && version_get(conn, house->arena, what.doc.id, 0, &before, NULL) == OK) {
            what.based_on = before.seq;
            TRY(version_texts(conn, house->arena, before.id, &texts, &count, err));
            TRY(version_body(conn, house->arena, before.id, texts[count - 1].lang, &old, err));
            what.proposed = classify(house->arena, old, str_of(posting->text));
        }
    }
    what.texts[0].lang = STR("en");
    what.bodies[0] = str_of(posting->text);
    what.texts[1].lang = STR("de");
    what.bodies[1] = str_of(posting->german);
    publication_seal(&what);
    enum status status = db_write(house->db, publication_run, &what, err);
    *out = what.made;
    return status;
}

static inline struct version_row posted(struct house *house, const char *slug, const char *text, enum change change)
{
    struct version_row out;
    const struct posting posting = {
        .slug = slug, .text = text, .change = change, .grace_us = TERMS_GRACE_US, .confirmed = true};
    GOOD(post(house, &posting, &out, err));
    return out;
}

static inline enum status countersign(struct house *house, const struct version_row *version, int64_t by_id,
                                      struct error *err)
{
    struct countersigning what = {.arena = house->arena, .seq = version->seq, .by_id = by_id};
    what.doc = (struct doc){.id = version->doc_id, .name = STR("acme/some")};
    memcpy(what.digest, version->digest, SHA256_SIZE);
    return db_write(house->db, countersigning_run, &what, err);
}

/* Binding. */

struct binding {
    int64_t gate, risk, docs[4];
    size_t count;
};

static inline enum status bind_in(struct db_conn *tx, void *context, struct error *err)
{
    const struct binding *binding = context;
    return terms_bind(tx, binding->gate, binding->risk, binding->docs, binding->count, err);
}

static inline int64_t doc_id(struct house *house, const char *name)
{
    auto_conn struct db_conn *conn = NULL;
    int64_t id = 0;
    GOOD(db_reader(house->db, &conn, err));
    GOOD(terms_doc_find(conn, str_of(name), &id, err));
    return id;
}

/* second may be NULL. */
static inline void bind_to(struct house *house, int64_t gate, int64_t risk, const char *first, const char *second)
{
    struct binding binding = {.gate = gate, .risk = risk};
    if (first)
        binding.docs[binding.count++] = doc_id(house, first);
    if (second)
        binding.docs[binding.count++] = doc_id(house, second);
    GOOD(db_write(house->db, bind_in, &binding, err));
}

/* Accepting. */

static inline enum status accept_in(struct db_conn *tx, void *context, struct error *err)
{
    return terms_accept(tx, context, err);
}

static inline enum status accept_text(struct house *house, int64_t who, const char *name, const char *text,
                                      struct error *err)
{
    uint8_t hash[SHA256_SIZE];
    sha256(str_of(text), hash);
    struct str hex = hex_encode(house->arena, hash, SHA256_SIZE);
    auto_json json_t *accepted = json_pack("[{s:s,s:s%}]", "terms", name, "sha256", hex.data, hex.len);
    struct terms_acceptance what = {.account_id = who, .gate_id = house->gate, .method = "api", .accepted = accepted};
    return db_write(house->db, accept_in, &what, err);
}

static inline void accepts(struct house *house, int64_t who, const char *name, const char *text)
{
    GOOD(accept_text(house, who, name, text, err));
}

static inline bool misses(struct house *house, int64_t who)
{
    auto_conn struct db_conn *conn = NULL;
    bool missing = false;
    GOOD(db_reader(house->db, &conn, err));
    GOOD(terms_missing(conn, house->gate, who, now_us(), &missing, err));
    return missing;
}

static inline struct terms_standing standing_of(struct house *house, int64_t who)
{
    auto_conn struct db_conn *conn = NULL;
    struct terms_standing standing = {0};
    GOOD(db_reader(house->db, &conn, err));
    GOOD(terms_reached(conn, house->gate, who, &standing, err));
    return standing;
}

#endif
