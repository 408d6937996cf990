/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "../db/helper.h"
#include "base/time.h"
#include "prov/chain.h"
#include "prov/find.h"
#include "prov/run.h"

/* A ledger in memory, which can refuse, or tell a lie. */
#define ROOM 8192
struct fake {
    char *entries[ROOM];
    size_t lens[ROOM], size;
    bool refuses, is_wrong;
};

static enum status fake_append(void *context, const struct str *entries, size_t count, uint64_t *first,
                               struct error *err)
{
    struct fake *fake = context;
    if (fake->refuses)
        return fail(err, UNAVAILABLE, "NoSigner", "The signer is gone.");
    assert_true(count > 0 && fake->size + count <= ROOM);
    *first = fake->size + fake->is_wrong;
    for (size_t i = 0; i < count; i++) {
        fake->entries[fake->size] = memcpy(malloc(entries[i].len + 1), entries[i].data, entries[i].len);
        fake->lens[fake->size++] = entries[i].len;
    }
    return OK;
}

static uint64_t fake_size(void *context)
{
    return ((struct fake *)context)->size;
}

static enum status fake_entry(void *context, uint64_t index, struct buf *out, struct error *err)
{
    struct fake *fake = context;
    if (index >= fake->size)
        return fail(err, NOT_FOUND, NULL, "No such entry.");
    buf_add(out, fake->entries[index], fake->lens[index]);
    return OK;
}

static void fake_cut(struct fake *fake, size_t size)
{
    while (fake->size > size)
        free(fake->entries[--fake->size]);
}

/* A hub: a database, its people and its ledger. */
struct place {
    struct fake fake;
    struct prov prov;
    struct db *db;
    int commits_to_lose; /* groups whose commit "fails" after the ledger has their leaves */
};

static enum status hook(struct db_conn *tx, void *context, struct error *err)
{
    struct place *place = context;
    TRY(prov_hook(tx, &place->prov, err));
    if (place->commits_to_lose > 0) {
        place->commits_to_lose--;
        return fail(err, NO_SPACE, "Lost", "The commit failed.");
    }
    return OK;
}

static void open_place(struct place *place, struct folder *folder)
{
    const struct migration_set sets[] = {event_migrations, prov_migrations};
    place->prov = (struct prov){.ledger = {fake_append, fake_size, fake_entry, &place->fake}};
    GOOD(db_open(folder->db, &place->db, err));
    GOOD(db_migrate(place->db, sets, 2, err));
    GOOD(persons_open(folder->other, &place->prov.persons, err));
    db_before_commit(place->db, hook, place);
}

static void close_place(struct place *place)
{
    db_close(place->db);
    persons_close(place->prov.persons);
}

static void end_place(struct place *place)
{
    close_place(place);
    fake_cut(&place->fake, 0);
}

/* Events. */

static const struct event_kind create = {"repo.create", 1}, commit = {"commit", 1}, remove_repo = {"repo.delete", 1},
                               token = {"key.create", 1}, account = {"account.create", 1}, strange = {"repo.odd", 1};

static enum status append(struct db_conn *tx, void *context, struct error *err)
{
    return event_append(tx, context, err);
}

static enum status append_then_refuse(struct db_conn *tx, void *context, struct error *err)
{
    TRY(event_append(tx, context, err));
    return fail(err, STALE, NULL, "The branch moved.");
}

static struct event about(const struct event_kind *kind, int64_t repo_id)
{
    return (struct event){.kind = kind,
                          .repo_id = repo_id,
                          .actor_id = 3,
                          .body = STR("{\"public_id\":\"0123456789\",\"user\":3,\"kind\":\"model\",\"name\":\"a/b\"}")};
}

static enum status write_event(struct place *place, const struct event_kind *kind, int64_t repo_id, struct error *err)
{
    struct event event = about(kind, repo_id);
    return db_write(place->db, append, &event, err);
}

static enum status touch(struct place *place, struct error *err)
{
    return script(place->db, "SELECT 1", err);
}

/* What the log says. */

static struct leaf leaf_at(struct place *place, struct arena *arena, uint64_t index)
{
    struct leaf leaf;
    auto_buf struct buf entry = {0};
    GOOD(fake_entry(&place->fake, index, &entry, err));
    GOOD(leaf_parse(arena, buf_view(&entry), &leaf, err));
    return leaf;
}

static bool is_type(const struct leaf *leaf, const char *type)
{
    return str_eq(leaf->type, str_of(type));
}

/* Reads the whole log as a stranger would, and counts breaks in the repos' chains. */
static int chain_breaks(struct place *place)
{
    struct seen {
        uint8_t repo[LEAF_REPO_SIZE], hash[SHA256_SIZE];
        uint64_t next;
    } *seen = calloc(ROOM, sizeof *seen);
    int breaks = 0;
    size_t count = 0;
    for (size_t i = 0; i < place->fake.size; i++) {
        auto_arena struct arena arena = {0};
        struct leaf leaf = leaf_at(place, &arena, i);
        if (!leaf.of_repo)
            continue;
        size_t at = 0;
        while (at < count && memcmp(seen[at].repo, leaf.repo, LEAF_REPO_SIZE) != 0)
            at++;
        if (at == count)
            memcpy(seen[count++].repo, leaf.repo, LEAF_REPO_SIZE);
        breaks += leaf.rseq != seen[at].next || memcmp(leaf.previous, seen[at].hash, SHA256_SIZE) != 0;
        struct tlog_hash hash = tlog_leaf_hash((struct str){place->fake.entries[i], place->fake.lens[i]});
        memcpy(seen[at].hash, hash.bytes, SHA256_SIZE);
        seen[at].next = leaf.rseq + 1;
    }
    free(seen);
    return breaks;
}

static bool has_no_event(struct place *place, int64_t index)
{
    auto_conn struct db_conn *conn = NULL;
    auto_stmt struct stmt *query = NULL;
    GOOD(db_reader(place->db, &conn, err));
    GOOD(db_prepare(conn, "SELECT 1 FROM leaf WHERE idx = ? AND event_id IS NULL", &query, err));
    stmt_bind_int(query, 1, index);
    bool found = stmt_next(query);
    GOOD(stmt_end(query, err));
    return found;
}

/* How many leaves are voided. -1 unless they are those that stand behind no event, each once. */
static int64_t voids_that_fit(struct place *place)
{
    bool *voided = calloc(ROOM, sizeof *voided), fit = true;
    int64_t voids = 0;
    for (size_t i = 0; i < place->fake.size; i++) {
        auto_arena struct arena arena = {0};
        struct leaf leaf = leaf_at(place, &arena, i);
        if (!is_type(&leaf, "void"))
            continue;
        int64_t index = leaf_get(&leaf, "index").number;
        fit = fit && index < (int64_t)i && !voided[index] && has_no_event(place, index);
        voided[index] = true;
        voids++;
    }
    free(voided);
    fit = fit && number(place->db, "SELECT count(*) FROM orphan WHERE void_idx IS NULL") == 0 &&
          number(place->db, "SELECT count(*) FROM orphan") == voids;
    return fit ? voids : -1;
}

#define LOGGED "SELECT count(*) FROM leaf WHERE event_id IS NOT NULL"
#define EVENTS_TO_LOG "SELECT count(*) FROM event WHERE kind <> 'account.create'"

/* ---- the ordinary way */

static void test_each_event_is_a_leaf_before_its_write_returns(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    size_t before = place.fake.size;
    GOOD(write_event(&place, &create, 5, err));
    assert_int_equal(place.fake.size, before + 1);
    auto_arena struct arena arena = {0};
    struct leaf leaf = leaf_at(&place, &arena, 0);
    assert_true(is_type(&leaf, "repo") && leaf.of_repo && leaf.rseq == 0 && leaf.by_person);
    GOOD(write_event(&place, &commit, 5, err));
    leaf = leaf_at(&place, &arena, 1);
    assert_true(is_type(&leaf, "commit") && leaf.rseq == 1);
    assert_int_equal(chain_breaks(&place), 0);
    assert_int_equal(number(place.db, "SELECT count(*) FROM leaf WHERE event_id = idx + 1"), 2);
    end_place(&place);
}

static void test_a_write_that_failed_is_not_logged(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    struct event event = about(&create, 5);
    EXPECT(STALE, db_write(place.db, append_then_refuse, &event, err));
    assert_int_equal(place.fake.size, 0);
    end_place(&place);
}

static void test_what_is_about_no_repo_and_no_key_leaves_the_log_alone(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &account, 0, err));
    GOOD(touch(&place, err));
    assert_int_equal(place.fake.size, 0);
    GOOD(write_event(&place, &token, 0, err));
    assert_int_equal(place.fake.size, 1);
    auto_arena struct arena arena = {0};
    struct leaf leaf = leaf_at(&place, &arena, 0);
    assert_true(is_type(&leaf, "key") && !leaf.of_repo);
    end_place(&place);
}

static void test_commitments_in_the_log_open_until_the_owner_is_erased(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    auto_arena struct arena arena = {0};
    struct leaf leaf = leaf_at(&place, &arena, 0);
    struct commitment_place of = {.repo = leaf.repo, .rseq = leaf.rseq, .field = "name"};
    uint8_t secret[SHA256_SIZE], *commitment = leaf.commitments[0].digest;
    assert_true(str_eq(leaf.commitments[0].field, STR("name")));
    GOOD(persons_opening(place.prov.persons, 3, &of, STR("a/b"), commitment, secret, err));
    GOOD(persons_erase(place.prov.persons, 3, err));
    EXPECT(NOT_FOUND, persons_opening(place.prov.persons, 3, &of, STR("a/b"), commitment, secret, err));
    GOOD(write_event(&place, &commit, 5, err)); /* the log goes on, by a pseudonym that is another */
    struct leaf next = leaf_at(&place, &arena, 1);
    assert_memory_not_equal(leaf.actor, next.actor, sizeof leaf.actor);
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

static void test_the_log_id_of_a_repo_is_its_own(void **state)
{
    struct place place = {0};
    uint8_t five[LEAF_REPO_SIZE], six[LEAF_REPO_SIZE];
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    GOOD(write_event(&place, &create, 6, err));
    auto_arena struct arena arena = {0};
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(place.db, &conn, err));
    GOOD(prov_repo_log(conn, 5, five, err));
    GOOD(prov_repo_log(conn, 6, six, err));
    EXPECT(NOT_FOUND, prov_repo_log(conn, 7, six, err));
    assert_memory_not_equal(five, six, sizeof five);
    struct leaf leaf = leaf_at(&place, &arena, 0);
    assert_memory_equal(leaf.repo, five, sizeof five);
    db_release(&conn);
    end_place(&place);
}

static void test_a_ref_that_comes_back_to_a_commit_is_found_at_its_newest_leaf(void **state)
{
    static const uint8_t commits[2][SHA1_SIZE] = {{0xaa}, {0xbb}};
    static const uint64_t newest[2] = {3, 2};
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    for (int i = 0; i < 3; i++) {
        char body[128];
        snprintf(body, sizeof body, "{\"ref\":\"refs/heads/main\",\"new\":\"%s%038d\"}", i % 2 ? "bb" : "aa", 0);
        struct event event = {.kind = &commit, .repo_id = 5, .actor_id = 3, .body = str_of(body)};
        GOOD(db_write(place.db, append, &event, err));
    }
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(place.db, &conn, err));
    for (int i = 0; i < 2; i++) {
        uint64_t index = 0;
        bool found = false;
        GOOD(prov_revision_leaf(conn, 5, commits[i], REVISION_MOVED, &index, &found, err));
        assert_true(found);
        assert_int_equal(index, newest[i]);
    }
    db_release(&conn);
    end_place(&place);
}

/* ---- what goes wrong before the ledger has it */

static void test_nothing_changes_when_the_ledger_refuses(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    place.fake.refuses = true;
    EXPECT(UNAVAILABLE, write_event(&place, &create, 5, err));
    assert_int_equal(number(place.db, "SELECT count(*) FROM event"), 0);
    assert_int_equal(number(place.db, "SELECT count(*) FROM leaf"), 0);
    GOOD(touch(&place, err)); /* what needs no leaf goes on */
    place.fake.refuses = false;
    GOOD(write_event(&place, &create, 5, err));
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

static void test_an_event_that_cannot_be_logged_is_not_made(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    EXPECT(INTERNAL, write_event(&place, &strange, 5, err));
    assert_int_equal(number(place.db, "SELECT count(*) FROM event"), 0);
    assert_int_equal(place.fake.size, 0);
    end_place(&place);
}

static void test_an_index_that_was_not_next_is_refused(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    place.fake.is_wrong = true;
    EXPECT(CORRUPT, write_event(&place, &create, 5, err));
    assert_int_equal(number(place.db, "SELECT count(*) FROM event"), 0);
    end_place(&place);
}

/* ---- what goes wrong after it */

static void test_a_change_whose_commit_failed_is_voided_and_its_repo_goes_on_behind_it(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    place.commits_to_lose = 1;
    EXPECT(NO_SPACE, write_event(&place, &commit, 5, err));
    assert_int_equal(place.fake.size, 2);
    assert_int_equal(number(place.db, "SELECT count(*) FROM leaf"), 1);
    GOOD(write_event(&place, &commit, 5, err));
    assert_int_equal(place.fake.size, 4); /* create, the lost commit, void, commit */
    auto_arena struct arena arena = {0};
    struct leaf voided = leaf_at(&place, &arena, 2), next = leaf_at(&place, &arena, 3);
    assert_true(is_type(&voided, "void") && !voided.by_person && voided.rseq == 2);
    assert_int_equal(leaf_get(&voided, "index").number, 1);
    assert_true(is_type(&next, "commit") && next.rseq == 3);
    assert_int_equal(chain_breaks(&place), 0);
    assert_int_equal(voids_that_fit(&place), 1);
    end_place(&place);
}

static void test_a_repo_that_was_not_made_after_all_does_not_give_its_log_id_to_another(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    place.commits_to_lose = 1;
    EXPECT(NO_SPACE, write_event(&place, &create, 5, err));
    GOOD(write_event(&place, &create, 5, err)); /* the number was never given, so it is given again */
    auto_arena struct arena arena = {0};
    struct leaf lost = leaf_at(&place, &arena, 0), voided = leaf_at(&place, &arena, 1),
                made = leaf_at(&place, &arena, 2);
    assert_memory_equal(lost.repo, voided.repo, sizeof lost.repo);
    assert_memory_not_equal(lost.repo, made.repo, sizeof lost.repo);
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

static void test_a_void_that_was_lost_itself_is_not_said_twice(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    place.commits_to_lose = 3;
    for (int i = 0; i < 3; i++)
        EXPECT(NO_SPACE, write_event(&place, &commit, 5, err));
    GOOD(touch(&place, err)); /* as at start */
    assert_int_equal(voids_that_fit(&place), 3);
    assert_int_equal(place.fake.size, 6);
    assert_int_equal(chain_breaks(&place), 0);
    GOOD(touch(&place, err));
    assert_int_equal(place.fake.size, 6);
    end_place(&place);
}

static void test_more_orphans_than_go_to_the_ledger_at_once_are_taken_over(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    place.commits_to_lose = 1;
    EXPECT(NO_SPACE, script(place.db,
                            "INSERT INTO event (id, at_us, kind, version, repo_id, repo_seq, actor_id, body) "
                            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100) "
                            "SELECT i, 0, 'commit', 1, 1 + i % 3, i, 2, '{}' FROM n",
                            err));
    assert_true(2100 > RUN_LIMIT);
    assert_int_equal(place.fake.size, 2100);
    GOOD(touch(&place, err));
    assert_int_equal(voids_that_fit(&place), 2100);
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

static void test_a_restored_database_goes_on_behind_what_was_logged_since(void **state)
{
    struct folder *folder = *state;
    struct place place = {0};
    char copy[400];
    snprintf(copy, sizeof copy, "%s/copy.db", folder->path);
    open_place(&place, folder);
    GOOD(write_event(&place, &create, 5, err));
    GOOD(db_backup(place.db, copy, err));
    GOOD(write_event(&place, &commit, 5, err));
    GOOD(write_event(&place, &create, 6, err));
    close_place(&place);
    assert_int_equal(rename(copy, folder->db), 0);
    open_place(&place, folder);
    GOOD(write_event(&place, &create, 6, err));
    assert_int_equal(voids_that_fit(&place), 2);
    assert_int_equal(place.fake.size, 6);
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

/* ---- what does not belong together */

static void test_a_ledger_that_lost_leaves_is_refused(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    GOOD(write_event(&place, &commit, 5, err));
    fake_cut(&place.fake, 1);
    EXPECT(CORRUPT, write_event(&place, &commit, 5, err));
    EXPECT(CORRUPT, touch(&place, err));
    end_place(&place);
}

static void test_a_ledger_with_another_newest_leaf_is_refused_at_start(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    close_place(&place);
    place.fake.entries[0][place.fake.lens[0] - 8] ^= 1;
    open_place(&place, *state);
    EXPECT(CORRUPT, touch(&place, err));
    place.fake.entries[0][place.fake.lens[0] - 8] ^= 1;
    GOOD(touch(&place, err));
    end_place(&place);
}

static void test_an_orphan_that_does_not_continue_its_repo_is_refused(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    place.commits_to_lose = 1;
    EXPECT(NO_SPACE, write_event(&place, &commit, 5, err));
    char *rprev = strstr(place.fake.entries[1], "\"rprev\":\"") + 9, was = *rprev;
    *rprev = was == '0' ? '1' : '0';
    EXPECT(CORRUPT, touch(&place, err));
    *rprev = was;
    GOOD(touch(&place, err));
    end_place(&place);
}

static void test_an_orphan_that_is_no_leaf_is_refused(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    uint64_t first;
    struct str rubbish = STR("Hello");
    GOOD(fake_append(&place.fake, &rubbish, 1, &first, err));
    EXPECT(CORRUPT, touch(&place, err));
    end_place(&place);
}

/* ---- other processes */

static void test_events_of_a_process_without_a_ledger_are_logged_by_the_next_group_in_order(void **state)
{
    struct folder *folder = *state;
    struct place place = {0};
    struct db *other = NULL;
    open_place(&place, folder);
    GOOD(write_event(&place, &create, 5, err));
    GOOD(db_open(folder->db, &other, err));
    struct event event = about(&remove_repo, 5);
    for (int i = 0; i < 300; i++) { /* more than two batches */
        if (i > 0)
            event = about(&create, 100 + i);
        GOOD(db_write(other, append, &event, err));
    }
    db_close(other);
    assert_int_equal(place.fake.size, 1);
    GOOD(write_event(&place, &token, 0, err));
    assert_int_equal(place.fake.size, 302);
    auto_arena struct arena arena = {0};
    struct leaf second = leaf_at(&place, &arena, 1), last = leaf_at(&place, &arena, 301);
    assert_true(is_type(&second, "repo") && second.rseq == 1);
    assert_true(is_type(&last, "key"));
    assert_int_equal(number(place.db, "SELECT count(*) FROM leaf WHERE event_id = idx + 1"), 302);
    assert_int_equal(chain_breaks(&place), 0);
    end_place(&place);
}

/* ---- heads and epochs */

static enum status log_heads(struct place *place, int64_t now, bool *logged, struct error *err)
{
    return prov_heads_log(place->db, now, logged, err);
}

static void test_heads_are_logged_when_a_repo_changed_and_a_minute_is_over(void **state)
{
    struct place place = {0};
    int64_t now = now_us(), minute = PROV_HEADS_SECONDS * SECOND_US;
    bool logged;
    open_place(&place, *state);
    GOOD(log_heads(&place, now, &logged, err));
    assert_false(logged);
    GOOD(write_event(&place, &create, 5, err));
    GOOD(log_heads(&place, now, &logged, err));
    assert_true(logged);
    GOOD(write_event(&place, &commit, 5, err));
    GOOD(log_heads(&place, now, &logged, err));
    assert_false(logged); /* too early */
    GOOD(log_heads(&place, now + 2 * minute, &logged, err));
    assert_true(logged);
    GOOD(log_heads(&place, now + 4 * minute, &logged, err));
    assert_false(logged); /* nothing new */
    assert_int_equal(place.fake.size, 4);
    end_place(&place);
}

static void test_logged_heads_prove_each_repo_though_the_log_went_on(void **state)
{
    struct place place = {0};
    struct prov_heads heads;
    struct heads_answer answer;
    uint8_t five[LEAF_REPO_SIZE], strange_repo[LEAF_REPO_SIZE] = {1, 2, 3};
    bool logged;
    open_place(&place, *state);
    for (int64_t id = 1; id <= 20; id++)
        GOOD(write_event(&place, &create, id, err));
    GOOD(write_event(&place, &commit, 5, err));
    GOOD(log_heads(&place, now_us(), &logged, err));
    GOOD(write_event(&place, &commit, 5, err));
    GOOD(write_event(&place, &create, 21, err));

    auto_conn struct db_conn *conn = NULL;
    auto_arena struct arena arena = {0};
    GOOD(db_reader(place.db, &conn, err));
    GOOD(prov_heads_newest(conn, &heads, err));
    struct leaf leaf = leaf_at(&place, &arena, heads.index);
    assert_true(is_type(&leaf, "repo-heads") && !leaf.by_person);
    assert_int_equal(leaf_get(&leaf, "covers").number, 21);
    assert_int_equal(heads.covers, 21);
    assert_int_equal(heads.root.count, 20);

    struct prov_heads_at at = {conn, heads.covers};
    struct heads_source source = prov_heads_source(&at);
    GOOD(prov_repo_log(conn, 5, five, err));
    GOOD(heads_answer(&source, five, &answer, err));
    assert_true(answer.present && heads_answer_holds(&heads.root, five, &answer));
    assert_int_equal(answer.proofs[0].head.rseq, 1);
    struct tlog_hash hash = tlog_leaf_hash((struct str){place.fake.entries[20], place.fake.lens[20]});
    assert_memory_equal(answer.proofs[0].head.leaf.bytes, hash.bytes, SHA256_SIZE);
    GOOD(heads_answer(&source, strange_repo, &answer, err));
    assert_true(!answer.present && heads_answer_holds(&heads.root, strange_repo, &answer));
    assert_false(heads_answer_holds(&heads.root, five, &answer));
    db_release(&conn);
    end_place(&place);
}

static void test_heads_whose_commit_failed_are_not_voided(void **state)
{
    struct place place = {0};
    struct prov_heads heads;
    bool logged;
    open_place(&place, *state);
    GOOD(write_event(&place, &create, 5, err));
    place.commits_to_lose = 1;
    EXPECT(NO_SPACE, log_heads(&place, now_us(), &logged, err));
    assert_false(logged);
    GOOD(touch(&place, err));
    assert_int_equal(place.fake.size, 2);
    assert_int_equal(voids_that_fit(&place), 0);
    auto_conn struct db_conn *conn = NULL;
    GOOD(db_reader(place.db, &conn, err));
    EXPECT(NOT_FOUND, prov_heads_newest(conn, &heads, err));
    db_release(&conn);
    end_place(&place);
}

#define DIGEST "0101010101010101010101010101010101010101010101010101010101010101"

static void test_an_epoch_is_logged_with_digests_only(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    struct prov_epoch epoch = {.build = STR(DIGEST), .checkpoint = STR(DIGEST)};
    GOOD(prov_epoch_log(place.db, &epoch, err));
    auto_arena struct arena arena = {0};
    struct leaf leaf = leaf_at(&place, &arena, 0);
    assert_true(is_type(&leaf, "epoch") && !leaf_get(&leaf, "policy").given);
    epoch.policy = STR("our policy");
    EXPECT(INTERNAL, prov_epoch_log(place.db, &epoch, err));
    end_place(&place);
}

/* ---- all of it at random */

static unsigned random_below(unsigned *seed, unsigned limit)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % limit;
}

static void random_group(struct place *place, unsigned *seed)
{
    static const struct event_kind *const kinds[] = {&create,      &commit, &commit, &commit,
                                                     &remove_repo, &token,  &account};
    struct event events[8];
    struct task tasks[8];
    int count = 1 + (int)random_below(seed, 8);
    for (int i = 0; i < count; i++) {
        const struct event_kind *kind = kinds[random_below(seed, 7)];
        events[i] = about(kind, kind == &token || kind == &account ? 0 : 1 + random_below(seed, 6));
        tasks[i] = (struct task){.fn = random_below(seed, 5) ? append : append_then_refuse, .context = &events[i]};
    }
    place->commits_to_lose = 0;
    struct turnstile gate;
    turnstile_close(&gate, place->db); /* its group is over before what follows can fail */
    for (int i = 0; i < count; i++) {
        tasks[i].db = place->db;
        pthread_create(&tasks[i].thread, NULL, task_main, &tasks[i]);
        await_queued(place->db, i + 1);
    }
    turnstile_open(&gate);
    for (int i = 0; i < count; i++)
        pthread_join(tasks[i].thread, NULL);
}

static void test_chains_have_no_gap_whatever_fails_and_whenever(void **state)
{
    struct place place = {0};
    unsigned seed = 20261124;
    open_place(&place, *state);
    for (int round = 0; round < 120; round++) {
        random_group(&place, &seed);
        switch (random_below(&seed, 6)) {
        case 0: /* the commit fails, or the machine does */
        case 1: {
            struct event event = about(&commit, 1 + random_below(&seed, 6));
            place.commits_to_lose = 1 + (int)random_below(&seed, 3);
            while (place.commits_to_lose > 0)
                EXPECT(NO_SPACE, db_write(place.db, append, &event, err));
            break;
        }
        case 2: /* the ledger refuses for a while */
            place.fake.refuses = true;
            EXPECT(UNAVAILABLE, write_event(&place, &commit, 1, err));
            place.fake.refuses = false;
            break;
        case 3: /* the hub starts again */
            close_place(&place);
            open_place(&place, *state);
            break;
        default:
            break;
        }
    }
    GOOD(touch(&place, err));
    assert_int_equal(chain_breaks(&place), 0);
    assert_true(voids_that_fit(&place) > 20);
    assert_int_equal(number(place.db, LOGGED), number(place.db, EVENTS_TO_LOG));
    assert_int_equal(number(place.db, "SELECT count(*) FROM leaf"), place.fake.size);
    assert_true(place.fake.size > 400);
    end_place(&place);
}

static void test_a_gap_would_have_been_seen(void **state)
{
    struct place place = {0};
    open_place(&place, *state);
    for (int i = 0; i < 3; i++)
        GOOD(write_event(&place, &commit, 5, err));
    free(place.fake.entries[1]);
    place.fake.entries[1] = place.fake.entries[2];
    place.fake.lens[1] = place.fake.lens[2];
    place.fake.size = 2;
    assert_int_equal(chain_breaks(&place), 1);
    end_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_each_event_is_a_leaf_before_its_write_returns),
        in_folder(test_a_write_that_failed_is_not_logged),
        in_folder(test_what_is_about_no_repo_and_no_key_leaves_the_log_alone),
        in_folder(test_commitments_in_the_log_open_until_the_owner_is_erased),
        in_folder(test_the_log_id_of_a_repo_is_its_own),
        in_folder(test_a_ref_that_comes_back_to_a_commit_is_found_at_its_newest_leaf),
        in_folder(test_nothing_changes_when_the_ledger_refuses),
        in_folder(test_an_event_that_cannot_be_logged_is_not_made),
        in_folder(test_an_index_that_was_not_next_is_refused),
        in_folder(test_a_change_whose_commit_failed_is_voided_and_its_repo_goes_on_behind_it),
        in_folder(test_a_repo_that_was_not_made_after_all_does_not_give_its_log_id_to_another),
        in_folder(test_a_void_that_was_lost_itself_is_not_said_twice),
        in_folder(test_more_orphans_than_go_to_the_ledger_at_once_are_taken_over),
        in_folder(test_a_restored_database_goes_on_behind_what_was_logged_since),
        in_folder(test_a_ledger_that_lost_leaves_is_refused),
        in_folder(test_a_ledger_with_another_newest_leaf_is_refused_at_start),
        in_folder(test_an_orphan_that_does_not_continue_its_repo_is_refused),
        in_folder(test_an_orphan_that_is_no_leaf_is_refused),
        in_folder(test_events_of_a_process_without_a_ledger_are_logged_by_the_next_group_in_order),
        in_folder(test_heads_are_logged_when_a_repo_changed_and_a_minute_is_over),
        in_folder(test_logged_heads_prove_each_repo_though_the_log_went_on),
        in_folder(test_heads_whose_commit_failed_are_not_voided),
        in_folder(test_an_epoch_is_logged_with_digests_only),
        in_folder(test_chains_have_no_gap_whatever_fails_and_whenever),
        in_folder(test_a_gap_would_have_been_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
