/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of rounds that are under way when a hub gets a newer schema. */
#include "federate/internal.h"

#include "../db/helper.h"

#define BEFORE_DIGESTS 6 /* scripts, after which updates had a SHA-256 */

static struct db *open_before(const char *path)
{
    const char *sql[BEFORE_DIGESTS + 1] = {0};
    struct db *db = NULL;
    for (size_t i = 0; i < BEFORE_DIGESTS; i++)
        sql[i] = federate_migrations.sql[i];
    const struct migration_set sets[] = {
        {"repo",
         (const char *const[]){"CREATE TABLE repo (id INTEGER PRIMARY KEY); INSERT INTO repo VALUES (1), (2), (3);",
                               NULL}},
        {"federate", sql}};
    GOOD(db_open(path, &db, err));
    GOOD(db_migrate(db, sets, 2, err));
    return db;
}

/* Runs 1 and 2 are open, 3 is over; in each two updates were accepted in this round, one was refused, and the round is frozen. */
static const char rounds_sql[] =
    "INSERT INTO federate_run (id, repo_id, public_id, by_id, state, settings, round, accepted, rejected, base_oid, "
    "due_us, "
    "frozen_us, opened_us) VALUES (1, 1, 'a', 9, 1, '{\"mode\":\"plain\",\"rounds\":9}', 4, 8, 1, x'00', 5, 6, 0), "
    "(2, 2, 'b', 9, 1, '{\"mode\":\"two-houses\",\"rounds\":9}', 4, 8, 1, x'00', 5, 6, 0), "
    "(3, 3, 'c', 9, 2, '{\"mode\":\"plain\",\"rounds\":4}', 4, 8, 1, x'00', 5, 6, 0);"
    "INSERT INTO federate_participant (run_id, account_id, joined_us, based, taken) SELECT r.id, a.id, 0, 4, x'11' "
    "FROM federate_run r, "
    "(SELECT 1 AS id UNION SELECT 2 UNION SELECT 3) a;"
    "INSERT INTO federate_update (run_id, account_id, state, examples, tries, sha256, data_at, norm, based) SELECT "
    "run_id, account_id, "
    "CASE account_id WHEN 3 THEN 2 ELSE 1 END, 1, 1, x'11', 8, '1', 4 FROM federate_participant;";

static void rounds_in_plain_ask_again_for_updates_that_have_another_digest(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_before(folder->db);
    GOOD(script(db, rounds_sql, err));
    GOOD(db_migrate(db, &federate_migrations, 1, err));
    assert_int_equal(number(db, "SELECT count(*) FROM federate_update WHERE run_id = 1"), 0);
    assert_int_equal(
        number(db, "SELECT count(*) FROM federate_participant WHERE run_id = 1 AND based = 0 AND taken IS NULL"), 3);
    assert_int_equal(number(db, "SELECT accepted FROM federate_run WHERE id = 1 AND frozen_us = 0 AND due_us = 0"), 6);
    db_close(db);
}

static void other_modes_and_runs_that_are_over_stay_as_they_are(void **state)
{
    struct folder *folder = *state;
    struct db *db = open_before(folder->db);
    GOOD(script(db, rounds_sql, err));
    GOOD(db_migrate(db, &federate_migrations, 1, err));
    assert_int_equal(number(db, "SELECT count(*) FROM federate_update WHERE run_id <> 1 AND digest = x'11'"), 6);
    assert_int_equal(
        number(db, "SELECT count(*) FROM federate_run WHERE id <> 1 AND accepted = 8 AND frozen_us = 6 AND due_us = 5"),
        2);
    db_close(db);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(rounds_in_plain_ask_again_for_updates_that_have_another_digest),
        in_folder(other_modes_and_runs_that_are_over_stay_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
