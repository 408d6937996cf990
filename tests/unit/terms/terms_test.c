/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

static int64_t accepted_of;

static enum status note_accepted(struct db_conn *tx, int64_t account_id, struct error *err)
{
    (void)tx, (void)err;
    accepted_of = account_id;
    return OK;
}

static const struct migration_set nothing = {"watcher", (const char *const[]){NULL}};
static const struct module watcher = {.name = "watcher", .migrations = &nothing, .accepted = note_accepted};
const struct module *const modules[] = {&terms_module, &watcher, NULL};

#define ONE "You may use it.\n"
#define WIDER ONE "You may print it.\n"
#define STRICTER ONE "You must cite it.\n"

static const char walks_sql[] = "SELECT count(*) FROM terms_walk WHERE gate_id = ?";
static const char epoch_sql[] = "SELECT terms_epoch FROM gate WHERE id = ?";

static void a_text_is_accepted_by_its_hash_and_no_other(void **state)
{
    struct house *house = *state;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    assert_true(misses(house, house->ada));
    EXPECT(UNPROCESSABLE, accept_text(house, house->ada, "acme/licence", "You may use it. ", err));
    EXPECT(NOT_FOUND, accept_text(house, house->ada, "acme/other", ONE, err));
    EXPECT(NOT_FOUND, accept_text(house, house->ada, "nobody/licence", ONE, err));
    assert_true(misses(house, house->ada));
    accepted_of = 0;
    accepts(house, house->ada, "ACME/licence", ONE);
    assert_int_equal(house->ada, accepted_of);
    assert_false(misses(house, house->ada));
    assert_true(misses(house, house->ben));
}

static void an_acceptance_covers_what_changes_nothing_that_matters(void **state)
{
    struct house *house = *state;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    accepts(house, house->ada, "acme/licence", ONE);
    posted(house, "licence", "You may use it!\n", CHANGE_EDITORIAL);
    posted(house, "licence", WIDER, CHANGE_MINOR);
    assert_false(misses(house, house->ada));
    assert_int_equal(0, count_of(house, epoch_sql, house->gate));
    posted(house, "licence", STRICTER, CHANGE_MATERIAL);
    assert_true(misses(house, house->ada));
    assert_int_equal(1, count_of(house, epoch_sql, house->gate));
    EXPECT(UNPROCESSABLE, accept_text(house, house->ada, "acme/licence", WIDER, err)); /* it was superseded */
    accepts(house, house->ada, "acme/licence", STRICTER);
    assert_false(misses(house, house->ada));
    assert_int_equal(1, standing_of(house, house->ada).reached);
    assert_int_equal(-1, standing_of(house, house->ben).reached);
}

static void a_version_that_comes_later_can_be_accepted_early(void **state)
{
    struct house *house = *state;
    struct version_row made;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    const struct posting later = {.slug = "licence",
                                  .text = STRICTER,
                                  .change = CHANGE_MATERIAL,
                                  .effective_us = now_us() + 10 * DAY,
                                  .grace_us = 5 * DAY};
    accepts(house, house->ben, "acme/licence", ONE);
    GOOD(post(house, &later, &made, err));
    assert_false(misses(house, house->ben)); /* the old one is in force */
    assert_int_equal(0, standing_of(house, house->ben).reached);
    assert_int_equal(made.effective_us + 5 * DAY, standing_of(house, house->ben).due_us);
    accepts(house, house->ada, "acme/licence", STRICTER);
    assert_false(misses(house, house->ada));
    assert_int_equal(1, standing_of(house, house->ada).reached);
    go_ahead(house, 11 * DAY);
    assert_true(misses(house, house->ben));
    assert_false(misses(house, house->ada));
    EXPECT(UNPROCESSABLE, accept_text(house, house->ben, "acme/licence", ONE, err));
}

static void a_class_below_the_proposed_one_needs_to_be_confirmed(void **state)
{
    struct house *house = *state;
    struct version_row made;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    struct posting posting = {.slug = "licence", .text = STRICTER, .change = CHANGE_MINOR, .grace_us = DAY};
    EXPECT(UNPROCESSABLE, post(house, &posting, &made, err));
    posting.confirmed = true;
    GOOD(post(house, &posting, &made, err));
    assert_int_equal(CHANGE_MATERIAL, made.proposed);
    assert_int_equal(1, made.basis_seq);
    EXPECT(CONFLICT, post(house, &posting, &made, err)); /* the same once more */
}

static void from_risk_2_up_a_second_person_signs(void **state)
{
    struct house *house = *state;
    struct version_row made;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 2, "acme/licence", NULL);
    accepts(house, house->ada, "acme/licence", ONE);
    const struct posting posting = {
        .slug = "licence", .text = STRICTER, .change = CHANGE_MATERIAL, .grace_us = DAY, .by_id = house->ada};
    GOOD(post(house, &posting, &made, err));
    assert_int_equal(0, made.published_us);
    assert_false(misses(house, house->ada));
    EXPECT(FORBIDDEN, countersign(house, &made, house->ada, err)); /* the same person */
    made.digest[0] ^= 1;
    EXPECT(UNPROCESSABLE, countersign(house, &made, house->ben, err)); /* something else was read */
    made.digest[0] ^= 1;
    GOOD(countersign(house, &made, house->ben, err));
    assert_true(misses(house, house->ada));
    EXPECT(CONFLICT, countersign(house, &made, house->ben, err));
}

static void what_waits_gives_way_to_what_is_posted_next(void **state)
{
    struct house *house = *state;
    struct version_row first, second;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    struct posting posting = {.slug = "licence", .text = STRICTER, .change = CHANGE_EMERGENCY, .by_id = house->ada};
    GOOD(post(house, &posting, &first, err));
    posting.text = STRICTER "You must pay.\n";
    GOOD(post(house, &posting, &second, err));
    assert_int_equal(first.seq, second.seq);
    EXPECT(UNPROCESSABLE, countersign(house, &first, house->ben, err));
    GOOD(countersign(house, &second, house->ben, err));
}

static void an_emergency_is_due_at_once_and_the_board_is_told(void **state)
{
    struct house *house = *state;
    struct version_row made;
    GOOD(script(house->db, "UPDATE account SET is_admin = 1 WHERE name = 'ben'", err));
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    accepts(house, house->ada, "acme/licence", ONE);
    const struct posting posting = {.slug = "licence",
                                    .text = STRICTER,
                                    .change = CHANGE_EMERGENCY,
                                    .grace_us = 9 * DAY,
                                    .effective_us = now_us() + DAY};
    GOOD(post(house, &posting, &made, err));
    GOOD(countersign(house, &made, house->ben, err));
    assert_true(standing_of(house, house->ada).due_us <= now_us());
    assert_int_equal(1, count_of(house, "SELECT count(*) FROM notice WHERE account_id = ?", house->ben));
}

static void a_further_text_begins_an_epoch_only_where_somebody_holds_a_grant(void **state)
{
    struct house *house = *state;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    posted(house, "privacy", WIDER, CHANGE_MATERIAL);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    accepts(house, house->ada, "acme/licence", ONE);
    bind_to(house, house->gate, 0, "acme/privacy", "acme/licence");
    assert_int_equal(0, count_of(house, epoch_sql, house->gate));
    assert_int_equal(-1, standing_of(house, house->ada).reached);
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    assert_int_equal(0, standing_of(house, house->ada).reached);
    GOOD(script(house->db,
                "INSERT INTO access_grant (gate_id, account_id, state, version, terms_epoch, by_id, created_us, "
                "changed_us) VALUES (1, 99, 1, 1, 0, 0, 0, 0)",
                err));
    bind_to(house, house->gate, 0, "acme/privacy", "acme/licence");
    assert_int_equal(1, count_of(house, epoch_sql, house->gate));
    assert_int_equal(0, standing_of(house, house->ada).reached);
    assert_true(standing_of(house, house->ada).due_us > now_us() + 29 * DAY);
    /* and a text that is asked for no more is due no more */
    bind_to(house, house->gate, 0, "acme/licence", NULL);
    assert_int_equal(1, standing_of(house, house->ada).reached);
    assert_true(standing_of(house, house->ada).due_us == INT64_MAX);
    /* asked for again, it begins another epoch, and the old one does not come back */
    bind_to(house, house->gate, 0, "acme/licence", "acme/privacy");
    assert_int_equal(1, standing_of(house, house->ada).reached);
    assert_int_equal(2, standing_of(house, house->ada).newest);
    assert_true(standing_of(house, house->ada).due_us > now_us() + 29 * DAY);
}

static void every_gate_that_asks_for_a_text_is_logged_when_it_changes(void **state)
{
    struct house *house = *state;
    GOOD(script(house->db,
                "INSERT INTO gate (id, owner_id, slug, state, version, policy_seq, created_us) SELECT 2, owner_id, "
                "'group', 1, 1, 1, 1 FROM gate WHERE id = 1",
                err));
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    bind_to(house, 1, 0, "acme/licence", NULL);
    bind_to(house, 2, 0, "acme/licence", NULL);
    posted(house, "licence", STRICTER, CHANGE_MATERIAL);
    assert_int_equal(2, number(house->db, "SELECT count(*) FROM event WHERE kind = 'access.policy'"));
    assert_int_equal(1, number(house->db, "SELECT count(*) FROM event WHERE kind = 'access.policy' AND repo_id <> 0"));
    assert_int_equal(1, count_of(house, walks_sql, 1));
    assert_int_equal(1, count_of(house, walks_sql, 2));
}

static enum status forget(struct db_conn *tx, void *account_id, struct error *err)
{
    return db_run_each(tx, terms_module.forgets, *(const int64_t *)account_id, err);
}

static void when_a_person_is_forgotten_hashes_stay_and_names_go(void **state)
{
    struct house *house = *state;
    posted(house, "licence", ONE, CHANGE_MATERIAL);
    accepts(house, house->ada, "acme/licence", ONE);
    assert_int_equal(1, number(house->db, "SELECT count(*) FROM terms_receipt WHERE payload LIKE '%\"ada\"%'"));
    GOOD(script(house->db, "UPDATE account SET name = 'erased-1' WHERE name = 'ada'", err));
    GOOD(db_write(house->db, forget, &house->ada, err));
    assert_int_equal(0, number(house->db, "SELECT count(*) FROM terms_receipt"));
    assert_int_equal(1, number(house->db, "SELECT count(*) FROM terms_acceptance WHERE length(sha256) = 32"));
}

static void the_texts_that_are_shipped_are_published_once(void **state)
{
    struct house *house = *state;
    GOOD(terms_publish_templates(house->db, err));
    GOOD(terms_publish_templates(house->db, err));
    assert_int_equal(4, number(house->db, "SELECT count(*) FROM terms_version WHERE published_us > 0"));
    assert_int_equal(8, number(house->db, "SELECT count(*) FROM terms_text WHERE length(body) > 500"));
    bind_to(house, house->gate, 0, "templates/research-only", "templates/data-use-agreement");
    assert_true(misses(house, house->ada));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_house(a_text_is_accepted_by_its_hash_and_no_other),
        in_house(an_acceptance_covers_what_changes_nothing_that_matters),
        in_house(a_version_that_comes_later_can_be_accepted_early),
        in_house(a_class_below_the_proposed_one_needs_to_be_confirmed),
        in_house(from_risk_2_up_a_second_person_signs),
        in_house(what_waits_gives_way_to_what_is_posted_next),
        in_house(an_emergency_is_due_at_once_and_the_board_is_told),
        in_house(a_further_text_begins_an_epoch_only_where_somebody_holds_a_grant),
        in_house(every_gate_that_asks_for_a_text_is_logged_when_it_changes),
        in_house(when_a_person_is_forgotten_hashes_stay_and_names_go),
        in_house(the_texts_that_are_shipped_are_published_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
