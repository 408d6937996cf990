/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "witness/cosigner.h"

#include "../tlog/fixture.h"
#include "base/file.h"
#include "base/time.h"
#include "tlog/policy.h"
#include "witness/submission.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

/* A witness in a folder of its own, a log that it witnesses, and that log's second history: it differs from leaf 8 on.
 */

#define NOW (INT64_C(1700000000) * SECOND_US)
#define OTHER_FROM 8
#define LOG "hub.example.org/log/1"
#define HASH "8ae1d6bd6a2bdbb2a8c2ff8d0b9d9bcd" /* only to be something that is no log's */

struct world {
    char dir[128], logs[160], folder[160];
    struct arena arena;
    struct note_signer key, stranger;
    struct forest *history, *other;
    struct cosigner *cosigner;
    struct cosigner_answer answer;
    struct error err;
};

static struct forest *forest_beside(uint64_t same, uint64_t size)
{
    struct forest *forest = forest_of(same);
    for (uint64_t i = same; i < size; i++)
        forest_add(forest, tlog_leaf_hash(STR("another")));
    return forest;
}

static void write_logs(struct world *world, struct str text)
{
    assert_int_equal(file_write_durable(world->logs, text, 0600, NULL), OK);
}

static enum status try_open(struct world *world)
{
    cosigner_close(world->cosigner);
    world->cosigner = NULL;
    return cosigner_open(world->folder, world->logs, STR("hub.example.org/witness"), &world->cosigner, &world->err);
}

static void reopen(struct world *world)
{
    if (try_open(world) != OK)
        fail_msg("%s", world->err.message);
}

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const char *base = getenv("TMPDIR");
    snprintf(world->dir, sizeof world->dir, "%s/cairn-witness-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(world->dir))
        return -1;
    snprintf(world->logs, sizeof world->logs, "%s/logs", world->dir);
    snprintf(world->folder, sizeof world->folder, "%s/witness", world->dir);
    world->key = signer_of(&world->arena, NOTE_ED25519, LOG, 1);
    world->stranger = signer_of(&world->arena, NOTE_ED25519, LOG, 2);
    world->history = forest_of(40);
    world->other = forest_beside(OTHER_FROM, 40);
    write_logs(world,
               arena_printf(&world->arena, "# those that we watch\nlog %.*s https://hub.example.org/log\nlog %s\n",
                            STR_ARG(vkey_of(&world->arena, &world->key)), TESSERA_VKEY));
    reopen(world);
    *state = world;
    return 0;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found, (void)kind, (void)where;
    return remove(path);
}

static int unmake(void **state)
{
    struct world *world = *state;
    cosigner_close(world->cosigner);
    nftw(world->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(world->history);
    free(world->other);
    arena_free(&world->arena);
    free(world);
    return 0;
}

/* What is submitted. */

static struct tlog_hash root_at(struct forest *forest, uint64_t size)
{
    struct tlog_source source = forest_source(forest);
    struct tlog_frontier frontier;
    assert_int_equal(tlog_frontier_read(&source, size, &frontier, NULL), OK);
    return tlog_root(&frontier);
}

static struct str note_at(struct arena *arena, struct forest *forest, uint64_t size, const struct note_signer *key)
{
    auto_buf struct buf note = {0};
    struct checkpoint checkpoint = {key->verifier.name, size, root_at(forest, size), {0}};
    assert_int_equal(checkpoint_sign(&checkpoint, key, &note, NULL), OK);
    return arena_copy(arena, buf_view(&note));
}

/* The lines below a note's text. */
static struct str lines_of(struct arena *arena, struct str note)
{
    struct note parsed;
    assert_int_equal(note_parse(arena, note, &parsed, NULL), OK);
    return str_from(note, parsed.text.len + 1);
}

static struct tlog_path proof_between(struct forest *forest, uint64_t old, uint64_t size)
{
    struct tlog_source source = forest_source(forest);
    struct tlog_path proof = {0};
    if (old <= size)
        assert_int_equal(tlog_prove_consistency(&source, old, size, &proof, NULL), OK);
    return proof;
}

static enum status add_body(struct world *world, struct str body, int64_t now)
{
    world->answer = (struct cosigner_answer){0};
    world->err = (struct error){0};
    return cosigner_add(world->cosigner, &world->arena, body, now, &world->answer, &world->err);
}

static enum status add_note(struct world *world, uint64_t old, struct tlog_path proof, struct str note)
{
    auto_buf struct buf body = {0};
    submission_write(&body, old, &proof, note);
    return add_body(world, buf_view(&body), NOW);
}

static enum status add(struct world *world, struct forest *forest, uint64_t old, uint64_t size)
{
    return add_note(world, old, proof_between(forest, old, size), note_at(&world->arena, forest, size, &world->key));
}

static void assert_cosigned(struct world *world, struct forest *forest, uint64_t size)
{
    struct note_verifier witness;
    struct note note;
    uint64_t time;
    struct str text = note_at(&world->arena, forest, size, &world->key);
    assert_false(world->answer.conflict);
    assert_int_equal(note_verifier_parse(&world->arena, cosigner_vkey(world->cosigner), &witness, NULL), OK);
    assert_int_equal(note_parse(&world->arena, joined(&world->arena, text, world->answer.text), &note, NULL), OK);
    assert_int_equal(cosignature_check(&note, &witness, &time), NOTE_SIGNED);
    assert_int_equal(time, NOW / SECOND_US);
}

static void assert_conflict(struct world *world, const char *text)
{
    assert_true(world->answer.conflict);
    assert_str(world->answer.text, str_of(text));
}

static void cosigns(struct world *world, struct forest *forest, uint64_t old, uint64_t size)
{
    if (add(world, forest, old, size) != OK)
        fail_msg("%s", world->err.message);
    assert_cosigned(world, forest, size);
}

static struct str hash_of(struct arena *arena, struct str origin)
{
    uint8_t digest[SHA256_SIZE];
    sha256(origin, digest);
    return hex_encode(arena, digest, sizeof digest);
}

/* The table of provenance 1.7, row by row. */

static void a_log_that_grows_is_cosigned(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 3);
    cosigns(world, world->history, 3, 3);
    cosigns(world, world->history, 3, 4);
    cosigns(world, world->history, 4, 40);
}

static void an_empty_log_is_cosigned(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 0);
    cosigns(world, world->history, 0, 0);
    cosigns(world, world->history, 0, 5);
}

static void a_malformed_body_is_invalid(void **state)
{
    struct world *world = *state;
    const char *const bad[] = {"", "old 0", "old 0\n", "old 0\n\n", "old 0\n\nno note\n", "old x\n\n", "old -1\n\n"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(add_body(world, str_of(bad[i]), NOW), INVALID);
}

static void an_unknown_log_is_not_found(void **state)
{
    struct world *world = *state;
    struct note_signer unknown = signer_of(&world->arena, NOTE_ED25519, "elsewhere.example/log", 1);
    struct str note = note_at(&world->arena, world->history, 3, &unknown);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, note), NOT_FOUND);
}

static void what_the_log_did_not_sign_is_forbidden(void **state)
{
    struct world *world = *state;
    struct str by_stranger = note_at(&world->arena, world->history, 3, &world->stranger);
    struct str good = note_at(&world->arena, world->history, 3, &world->key);
    struct str other = note_at(&world->arena, world->history, 4, &world->key);
    struct str text = str_slice(good, 0, good.len - lines_of(&world->arena, good).len);
    struct str forged = joined(&world->arena, text, lines_of(&world->arena, other));
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, by_stranger), FORBIDDEN);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, forged), FORBIDDEN);
    /* A stranger learns nothing of what was seen, also where the sizes would not do. */
    assert_int_equal(add_note(world, 9, (struct tlog_path){0}, by_stranger), FORBIDDEN);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, good), OK);
}

static void foreign_lines_beside_the_logs_own_do_no_harm_and_are_not_kept(void **state)
{
    struct world *world = *state;
    auto_buf struct buf latest = {0};
    struct str stranger = note_at(&world->arena, world->history, 3, &world->stranger);
    struct str good = note_at(&world->arena, world->history, 3, &world->key);
    struct note note;
    struct str both = joined(&world->arena, good, lines_of(&world->arena, stranger));
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, both), OK);
    assert_int_equal(cosigner_latest(world->cosigner, hash_of(&world->arena, STR(LOG)), &latest, NULL), OK);
    assert_int_equal(note_parse(&world->arena, buf_view(&latest), &note, NULL), OK);
    assert_int_equal(note.count, 2);
    assert_int_equal(note_check(&note, &world->key.verifier), NOTE_SIGNED);
}

static void an_old_tree_that_is_larger_is_invalid(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 9);
    assert_int_equal(add(world, world->history, 9, 4), INVALID);
    assert_int_equal(add(world, world->history, 10, 4), INVALID); /* before the sizes are compared: 400, not 409 */
}

static void another_old_tree_is_a_conflict_with_the_size(void **state)
{
    struct world *world = *state;
    assert_int_equal(add(world, world->history, 2, 4), OK);
    assert_conflict(world, "0\n");
    cosigns(world, world->history, 0, 9);
    for (uint64_t old = 0; old <= 12; old++) {
        if (old == 9)
            continue;
        assert_int_equal(add(world, world->history, old, 12), OK);
        assert_conflict(world, "9\n");
    }
    /* A smaller tree than was seen is one too: it is never cosigned, and size 9 is told. */
    assert_int_equal(add(world, world->history, 4, 4), OK);
    assert_conflict(world, "9\n");
}

static void a_root_of_nothing_that_is_another_is_refused(void **state)
{
    struct world *world = *state;
    auto_buf struct buf note = {0};
    struct checkpoint checkpoint = {STR(LOG), 0, root_at(world->history, 1), {0}};
    assert_int_equal(checkpoint_sign(&checkpoint, &world->key, &note, NULL), OK);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, buf_view(&note)), UNPROCESSABLE);
    cosigns(world, world->history, 0, 2);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, buf_view(&note)), OK); /* that row comes before */
    assert_conflict(world, "2\n");
}

static void a_proof_where_there_is_nothing_to_prove_is_refused(void **state)
{
    struct world *world = *state;
    struct tlog_path proof = proof_between(world->history, 3, 4);
    struct str note = note_at(&world->arena, world->history, 4, &world->key);
    assert_true(proof.count > 0);
    assert_int_equal(add_note(world, 0, proof, note), UNPROCESSABLE);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, note), OK);
    assert_int_equal(add_note(world, 4, proof, note), UNPROCESSABLE);
    assert_int_equal(add_note(world, 4, (struct tlog_path){0}, note), OK);
}

static void a_proof_that_does_not_hold_is_refused(void **state)
{
    struct world *world = *state;
    struct str note = note_at(&world->arena, world->history, 20, &world->key);
    struct tlog_path proof = proof_between(world->history, 9, 20);
    cosigns(world, world->history, 0, 9);
    for (size_t i = 0; i < proof.count; i++) {
        struct tlog_path flipped = proof;
        flipped.hashes[i].bytes[i] ^= 1;
        assert_int_equal(add_note(world, 9, flipped, note), UNPROCESSABLE);
    }
    struct tlog_path cut = proof;
    cut.count--;
    assert_int_equal(add_note(world, 9, cut, note), UNPROCESSABLE);
    assert_int_equal(add_note(world, 9, (struct tlog_path){0}, note), UNPROCESSABLE);
    assert_int_equal(add_note(world, 9, proof, note), OK);
}

static void a_second_history_is_refused(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 12);
    assert_int_equal(add(world, world->other, 12, 12), UNPROCESSABLE); /* the same size with another root */
    assert_int_equal(add(world, world->other, 12, 30), UNPROCESSABLE);
    assert_int_equal(add(world, world->other, 8, 30), OK); /* nor by way of where they part */
    assert_conflict(world, "12\n");
    cosigns(world, world->history, 12, 30);
}

static void both_histories_are_one_up_to_where_they_part(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, OTHER_FROM);
    cosigns(world, world->other, OTHER_FROM, 20);
    assert_int_equal(add(world, world->history, 20, 30), UNPROCESSABLE);
}

static void there_are_so_many_cosignatures_a_second(void **state)
{
    struct world *world = *state;
    uint64_t size = 1;
    cosigns(world, world->history, 0, 1);
    while (add(world, world->history, size, size + 1) == OK)
        size++;
    assert_int_equal(world->err.status, TOO_MANY);
    assert_in_range(size, 10, 20);
    cosigns(world, world->history, size, size); /* written already, so it costs nothing */
    assert_int_equal(add(world, world->other, size, size + 1), UNPROCESSABLE); /* that row comes before */

    auto_buf struct buf body = {0};
    struct tlog_path proof = proof_between(world->history, size, size + 1);
    submission_write(&body, size, &proof, note_at(&world->arena, world->history, size + 1, &world->key));
    assert_int_equal(add_body(world, buf_view(&body), NOW + SECOND_US), OK);
    assert_false(world->answer.conflict);
}

static void nothing_is_signed_with_a_clock_that_was_never_set(void **state)
{
    struct world *world = *state;
    auto_buf struct buf body = {0};
    submission_write(&body, 0, &(struct tlog_path){0}, note_at(&world->arena, world->history, 3, &world->key));
    assert_int_equal(add_body(world, buf_view(&body), INT64_C(1577836799) * SECOND_US), UNAVAILABLE);
    assert_int_equal(add_body(world, buf_view(&body), INT64_C(1577836800) * SECOND_US), OK);
    assert_false(world->answer.conflict);
}

static void too_large_a_body_is_too_large(void **state)
{
    struct world *world = *state;
    auto_buf struct buf body = {0};
    submission_write(&body, 0, &(struct tlog_path){0}, note_at(&world->arena, world->history, 3, &world->key));
    struct str line = STR("\xE2\x80\x94 example.com/w AAAAAAAAAAA=\n");
    while (body.len + line.len <= SUBMISSION_MOST && body.len < 3000)
        buf_str(&body, line);
    assert_int_equal(add_body(world, buf_view(&body), NOW), OK);
    while (body.len <= SUBMISSION_MOST)
        buf_str(&body, line);
    assert_int_equal(add_body(world, buf_view(&body), NOW), TOO_LARGE);
}

/* The vector of provenance 1.6, through the whole of it. */
static void the_line_is_that_of_the_specification(void **state)
{
    struct world *world = *state;
    uint8_t seed[NOTE_SEED_SIZE];
    char path[256];
    struct note_signer signer;
    auto_buf struct buf key = {0}, body = {0}, latest = {0};
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    assert_int_equal(note_signer_make(&world->arena, NOTE_COSIGNATURE, STR("witness.example/w1"), seed, &signer, NULL),
                     OK);
    note_signer_write(&key, &signer);
    snprintf(path, sizeof path, "%s/key", world->folder);
    assert_int_equal(file_write_durable(path, buf_view(&key), 0600, NULL), OK);
    reopen(world);
    assert_str(cosigner_vkey(world->cosigner),
               STR("witness.example/w1+e75f6532+BAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"));
    submission_write(&body, 0, &(struct tlog_path){0}, tessera_checkpoint(&world->arena, 15));
    assert_int_equal(add_body(world, buf_view(&body), NOW), OK);
    struct str line = STR("\xE2\x80\x94 witness.example/w1 519lMgAAAABlU/EA8Ksalh7kTmlIFPRO/50jC8JyWktgWjbjpb8ZCaY7/"
                          "1Pyo/Js5iv0m/SL/Pgn8ExkAr34GAbhHPwm6x2I0VpoBA==\n");
    assert_str(world->answer.text, line);
    /* What the log's monitors read is where the specification says. */
    assert_int_equal(cosigner_latest(world->cosigner,
                                     STR("6994c64086cc171ca46c749d036fd313bac575a8b2b2a2b9874ef097775714d5"), &latest,
                                     NULL),
                     OK);
    assert_str(buf_view(&latest), joined(&world->arena, tessera_checkpoint(&world->arena, 15), line));
}

/* What it remembers. */

static void what_was_cosigned_is_remembered_over_a_restart(void **state)
{
    struct world *world = *state;
    auto_buf struct buf before = {0}, after = {0};
    struct str vkey = arena_copy(&world->arena, cosigner_vkey(world->cosigner));
    struct str hash = hash_of(&world->arena, STR(LOG));
    assert_int_equal(cosigner_latest(world->cosigner, hash, &before, NULL), NOT_FOUND);
    cosigns(world, world->history, 0, 12);
    assert_int_equal(cosigner_latest(world->cosigner, hash, &before, NULL), OK);
    reopen(world);
    assert_str(cosigner_vkey(world->cosigner), vkey);
    assert_int_equal(cosigner_latest(world->cosigner, hash, &after, NULL), OK);
    assert_str(buf_view(&after), buf_view(&before));
    assert_int_equal(add(world, world->other, 0, 30), OK);
    assert_conflict(world, "12\n");
    assert_int_equal(add(world, world->other, 12, 30), UNPROCESSABLE);
    cosigns(world, world->history, 12, 30);
}

static void only_the_hash_of_a_witnessed_log_has_a_checkpoint(void **state)
{
    struct world *world = *state;
    auto_buf struct buf latest = {0};
    cosigns(world, world->history, 0, 12);
    assert_int_equal(cosigner_latest(world->cosigner, STR(HASH), &latest, NULL), NOT_FOUND);
    assert_int_equal(cosigner_latest(world->cosigner, STR("../key"), &latest, NULL), NOT_FOUND);
    assert_int_equal(cosigner_latest(world->cosigner, STR("key"), &latest, NULL), NOT_FOUND);
    assert_int_equal(cosigner_latest(world->cosigner, hash_of(&world->arena, STR(TESSERA_ORIGIN)), &latest, NULL),
                     NOT_FOUND);
    assert_int_equal(latest.len, 0);
}

static void the_key_is_only_for_its_owner(void **state)
{
    struct world *world = *state;
    char path[256];
    struct stat found;
    snprintf(path, sizeof path, "%s/key", world->folder);
    assert_int_equal(stat(path, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0600);
    assert_int_equal(stat(world->folder, &found), 0);
    assert_int_equal(found.st_mode & 0777, 0700);
    assert_true(str_starts(cosigner_vkey(world->cosigner), STR("hub.example.org/witness+")));
}

static void change_file(struct world *world, struct str name, struct str content)
{
    struct str path = arena_printf(&world->arena, "%s/%.*s", world->folder, STR_ARG(name));
    assert_int_equal(file_write_durable(path.data, content, 0600, NULL), OK);
}

static void a_damaged_memory_is_not_an_empty_one(void **state)
{
    struct world *world = *state;
    auto_buf struct buf good = {0};
    struct str hash = hash_of(&world->arena, STR(LOG)), other = hash_of(&world->arena, STR(TESSERA_ORIGIN));
    cosigns(world, world->history, 0, 12);
    assert_int_equal(cosigner_latest(world->cosigner, hash, &good, NULL), OK);
    const struct str bad[] = {STR(""), STR("12\n"), str_slice(buf_view(&good), 0, good.len - 1),
                              with_flipped_bit(&world->arena, buf_view(&good), strlen(LOG) + 1),
                              with_flipped_bit(&world->arena, buf_view(&good), good.len - 10)};
    for (size_t i = 0; i < COUNT(bad); i++) {
        change_file(world, hash, bad[i]);
        assert_int_equal(try_open(world), CORRUPT);
        assert_true(strstr(world->err.message, LOG));
    }
    change_file(world, hash, buf_view(&good));
    reopen(world);
    change_file(world, other, buf_view(&good)); /* of another log */
    assert_int_equal(try_open(world), CORRUPT);
}

static void a_memory_under_another_key_is_refused(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 12);
    struct str path = arena_printf(&world->arena, "%s/key", world->folder);
    assert_int_equal(unlink(path.data), 0);
    assert_int_equal(try_open(world), CORRUPT);
}

static void a_key_of_a_log_is_refused(void **state)
{
    struct world *world = *state;
    auto_buf struct buf text = {0};
    note_signer_write(&text, &world->key);
    change_file(world, STR("key"), buf_view(&text));
    assert_int_equal(try_open(world), CORRUPT);
    change_file(world, STR("key"), STR("not a key\n"));
    assert_int_equal(try_open(world), CORRUPT);
}

static void a_failed_write_is_no_cosignature(void **state)
{
    struct world *world = *state;
    cosigns(world, world->history, 0, 9);
    struct str hash = hash_of(&world->arena, STR(LOG));
    struct str path = arena_printf(&world->arena, "%s/%.*s", world->folder, STR_ARG(hash));
    assert_int_equal(unlink(path.data), 0);
    assert_int_equal(mkdir(path.data, 0700), 0); /* nothing can be renamed onto a folder */
    assert_int_not_equal(add(world, world->history, 9, 12), OK);
    assert_int_equal(world->answer.text.len, 0);
    assert_int_equal(rmdir(path.data), 0);
    cosigns(world, world->history, 9, 10); /* 9 it remembers still */
}

/* The file of logs. */

static void a_whole_policy_will_do_for_a_list_of_logs(void **state)
{
    struct world *world = *state;
    struct note_signer witness = signer_of(&world->arena, NOTE_COSIGNATURE, "w", 7);
    struct str log = vkey_of(&world->arena, &world->key), other = vkey_of(&world->arena, &witness);
    write_logs(world,
               arena_printf(&world->arena, "log %.*s\nwitness w %.*s\nquorum w\n", STR_ARG(log), STR_ARG(other)));
    reopen(world);
    cosigns(world, world->history, 0, 9);
}

static void a_bad_list_of_logs_is_refused_with_its_line(void **state)
{
    struct world *world = *state;
    write_logs(world, STR("# fine\nlog nonsense\n"));
    assert_int_equal(try_open(world), INVALID);
    assert_non_null(strstr(world->err.message, "Line 2"));
    assert_non_null(strstr(world->err.message, world->logs));
    assert_int_equal(unlink(world->logs), 0);
    assert_int_equal(try_open(world), NOT_FOUND);
}

static void any_of_a_logs_keys_will_do_and_none_may_be_forged(void **state)
{
    struct world *world = *state;
    struct str first = vkey_of(&world->arena, &world->key), second = vkey_of(&world->arena, &world->stranger);
    struct str by_first = note_at(&world->arena, world->history, 3, &world->key);
    struct str by_second = note_at(&world->arena, world->history, 3, &world->stranger);
    struct str of_other = note_at(&world->arena, world->history, 4, &world->stranger);
    write_logs(world, arena_printf(&world->arena, "log %.*s\nlog %.*s\n", STR_ARG(first), STR_ARG(second)));
    reopen(world);
    struct str both = joined(&world->arena, by_first, lines_of(&world->arena, by_second));
    struct str half_forged = joined(&world->arena, by_first, lines_of(&world->arena, of_other));
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, half_forged), FORBIDDEN);
    assert_int_equal(add_note(world, 0, (struct tlog_path){0}, by_second), OK);
    assert_int_equal(add_note(world, 3, (struct tlog_path){0}, by_first), OK);
    assert_int_equal(add_note(world, 3, (struct tlog_path){0}, both), OK);
}

/* Races. */

#define RACERS 8

struct racer {
    struct world *world;
    struct forest *forest;
    uint64_t size;
    pthread_barrier_t *start;
    enum status status;
    struct cosigner_answer answer;
    struct arena arena;
};

/* Each shows a tree of its own, from where all begin. */
static void *race(void *context)
{
    struct racer *racer = context;
    struct error err;
    auto_buf struct buf body = {0};
    struct tlog_path proof = proof_between(racer->forest, 8, racer->size);
    submission_write(&body, 8, &proof, note_at(&racer->arena, racer->forest, racer->size, &racer->world->key));
    pthread_barrier_wait(racer->start);
    racer->status = cosigner_add(racer->world->cosigner, &racer->arena, buf_view(&body), NOW, &racer->answer, &err);
    return NULL;
}

/* Returns how many were cosigned; *last is the size that is remembered. */
static unsigned run_race(struct world *world, bool two_histories, uint64_t *winner)
{
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    pthread_barrier_t start;
    unsigned cosigned = 0;
    pthread_barrier_init(&start, NULL, RACERS);
    for (size_t i = 0; i < RACERS; i++) {
        struct forest *forest = two_histories && i % 2 ? forest_beside(OTHER_FROM, 40) : forest_of(40);
        racers[i] = (struct racer){world, forest, 9 + i, &start, OK, {0}, {0}};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].status, OK);
        if (!racers[i].answer.conflict) {
            cosigned++;
            *winner = racers[i].size;
        }
    }
    for (size_t i = 0; i < RACERS; i++) {
        if (racers[i].answer.conflict)
            assert_str(racers[i].answer.text, arena_printf(&world->arena, "%u\n", (unsigned)*winner));
        free(racers[i].forest);
        arena_free(&racers[i].arena);
    }
    pthread_barrier_destroy(&start);
    return cosigned;
}

static void of_those_that_race_one_wins_and_the_others_are_told(void **state)
{
    struct world *world = *state;
    for (int two_histories = 0; two_histories <= 1; two_histories++) {
        uint64_t winner = 0;
        unmake(state);
        make(state);
        world = *state;
        cosigns(world, world->history, 0, 8);
        assert_int_equal(run_race(world, two_histories, &winner), 1);
        reopen(world); /* what was answered is what is on disk */
        assert_int_equal(add(world, world->history, 0, 40), OK);
        assert_conflict(world, arena_printf(&world->arena, "%u\n", (unsigned)winner).data);
    }
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, make, unmake)
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_grows_is_cosigned),
        TEST(an_empty_log_is_cosigned),
        TEST(a_malformed_body_is_invalid),
        TEST(an_unknown_log_is_not_found),
        TEST(what_the_log_did_not_sign_is_forbidden),
        TEST(foreign_lines_beside_the_logs_own_do_no_harm_and_are_not_kept),
        TEST(an_old_tree_that_is_larger_is_invalid),
        TEST(another_old_tree_is_a_conflict_with_the_size),
        TEST(a_root_of_nothing_that_is_another_is_refused),
        TEST(a_proof_where_there_is_nothing_to_prove_is_refused),
        TEST(a_proof_that_does_not_hold_is_refused),
        TEST(a_second_history_is_refused),
        TEST(both_histories_are_one_up_to_where_they_part),
        TEST(there_are_so_many_cosignatures_a_second),
        TEST(nothing_is_signed_with_a_clock_that_was_never_set),
        TEST(too_large_a_body_is_too_large),
        TEST(the_line_is_that_of_the_specification),
        TEST(what_was_cosigned_is_remembered_over_a_restart),
        TEST(only_the_hash_of_a_witnessed_log_has_a_checkpoint),
        TEST(the_key_is_only_for_its_owner),
        TEST(a_damaged_memory_is_not_an_empty_one),
        TEST(a_memory_under_another_key_is_refused),
        TEST(a_key_of_a_log_is_refused),
        TEST(a_failed_write_is_no_cosignature),
        TEST(a_whole_policy_will_do_for_a_list_of_logs),
        TEST(a_bad_list_of_logs_is_refused_with_its_line),
        TEST(any_of_a_logs_keys_will_do_and_none_may_be_forged),
        TEST(of_those_that_race_one_wins_and_the_others_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
