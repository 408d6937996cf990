/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The log's side. The witnesses are cosigners in this process, and liars. */
#include "../ledger/house.h"
#include "base/time.h"
#include "witness/cosigner.h"
#include "witness/internal.h"

#define WITNESSES 3

/* How a witness answers. */
enum manner {
    HONEST,
    DOWN,
    OF_ANOTHER_TREE,   /* a cosignature of something else */
    OF_ANOTHER_KEY,    /* as the protocol allows: lines of other keys, none of ours */
    AMONG_OTHERS,      /* honest, with a line of a key that nobody knows before and behind it */
    GARBAGE,           /* 200 with what are no lines */
    MORE_TEXT,         /* 200 with an empty line, so that the checkpoint would get longer */
    UNTYPED_CONFLICT,  /* 409 as older witnesses say it to another root */
    UNPROVED,          /* 422 */
    SIZE_OF_NOTHING,   /* 409 whose size is none */
    SIZE_AGAIN,        /* 409 with the size that it was asked with */
    SIZES_WITHOUT_END, /* 409 with another size each time */
    SIZE_BEYOND,       /* 409 with more than the log has */
    SOMEBODY_AHEAD,    /* 409 with a newer tree of this log than was sent */
    UNKNOWN_LOG,       /* 404 */
    NO_SUCH_KEY,       /* 403 */
    HURRIED,           /* 429 */
};

static struct {
    struct cosigner *cosigner;
    enum manner manner;
    unsigned asked;
} witnesses[WITNESSES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* the rounds ask on threads of their own */

struct world {
    struct house *house;
    char policy[192], logs[192], kept[192];
    struct arena arena;
    struct witness *witness;
    struct error err;
};

/* Asking. */

static enum status say(struct fetch_answer *out, int status, struct str type, struct str body)
{
    *out = (struct fetch_answer){status, type, body};
    return OK;
}

static enum status honestly(struct arena *arena, unsigned number, struct str body, struct fetch_answer *out)
{
    struct cosigner_answer answer = {0};
    struct error err = {0};
    enum status status = cosigner_add(witnesses[number].cosigner, arena, body, now_us(), &answer, &err);
    if (status != OK)
        return say(out, status_http(status), STR("application/json"), str_of("{}"));
    return say(out, answer.conflict ? 409 : 200, answer.conflict ? STR("text/x.tlog.size") : STR("text/plain"),
               answer.text);
}

#define STRANGE "\xE2\x80\x94 strange.example/w 519lMgAAAABlU/EA\n"

/* The name and id of the real line, and other bytes behind them. */
static struct str with_other_signature(struct arena *arena, struct str line)
{
    char *copy = arena_cstr(arena, line);
    char *at = &copy[line.len - 30];
    *at = *at == 'A' ? 'B' : 'A';
    return (struct str){copy, line.len};
}

static enum status by_manner(struct arena *arena, unsigned number, struct str body, struct fetch_answer *out,
                             struct error *err)
{
    const struct str size = STR("text/x.tlog.size"), plain = STR("text/plain");
    switch (witnesses[number].manner) {
    case HONEST:
        break;
    case DOWN:
        return (fail)(err, UNAVAILABLE, NULL, "It cannot be reached.");
    case OF_ANOTHER_TREE:
        TRY(honestly(arena, number, body, out));
        if (out->status == 200)
            out->body = with_other_signature(arena, out->body);
        return OK;
    case OF_ANOTHER_KEY:
        return say(out, 200, plain, STR(STRANGE));
    case AMONG_OTHERS:
        TRY(honestly(arena, number, body, out));
        if (out->status == 200)
            out->body = arena_printf(arena, STRANGE "%.*s" STRANGE, STR_ARG(out->body));
        return OK;
    case GARBAGE:
        return say(out, 200, plain, STR("<html>\0It works!</html>"));
    case MORE_TEXT:
        TRY(honestly(arena, number, body, out));
        out->body = arena_printf(arena, STRANGE "\n%.*s", STR_ARG(out->body));
        return OK;
    case UNTYPED_CONFLICT:
        return say(out, 409, plain, STR("7\n"));
    case UNPROVED:
        return say(out, 422, STR("application/json"), STR("{}"));
    case SIZE_OF_NOTHING:
        return say(out, 409, size, STR("seven\n"));
    case SIZE_AGAIN:
        return say(out, 409, size, STR("0\n"));
    case SIZES_WITHOUT_END:
        return say(out, 409, size, arena_printf(arena, "%u\n", witnesses[number].asked));
    case SIZE_BEYOND:
        return say(out, 409, size, STR("1000\n"));
    case SOMEBODY_AHEAD:
        return say(out, 409, size, STR("8\n"));
    case UNKNOWN_LOG:
        return say(out, 404, plain, STR(""));
    case NO_SUCH_KEY:
        return say(out, 403, plain, STR(""));
    case HURRIED:
        return say(out, 429, plain, STR(""));
    }
    return honestly(arena, number, body, out);
}

static enum status ask(struct arena *arena, const struct fetch *what, struct fetch_answer *out, struct error *err)
{
    assert_true(str_ends(what->url, STR("/add-checkpoint")) && what->timeout_ms > 0);
    unsigned number = (unsigned)(what->url.data[strlen("http://w")] - '0');
    assert_true(number < WITNESSES);
    pthread_mutex_lock(&lock);
    witnesses[number].asked++;
    enum status status = by_manner(arena, number, what->body, out, err);
    pthread_mutex_unlock(&lock);
    return status;
}

/* The world. */

static void open_cosigners(struct world *world)
{
    auto_buf struct buf line = {0};
    buf_printf(&line, "log %.*s\n", STR_ARG(ledger_vkey(world->house->ledger)));
    assert_int_equal(file_write_durable(world->logs, buf_view(&line), 0600, NULL), OK);
    for (unsigned i = 0; i < WITNESSES; i++) {
        struct str folder = arena_printf(&world->arena, "%s/w%u", world->house->dir, i);
        struct str name = arena_printf(&world->arena, "w%u.example.org/witness", i);
        witnesses[i].manner = HONEST;
        witnesses[i].asked = 0;
        if (cosigner_open(folder.data, world->logs, name, &witnesses[i].cosigner, &world->err) != OK)
            fail_msg("%s", world->err.message);
    }
}

static void write_policy(struct world *world, const char *rest)
{
    auto_buf struct buf text = {0};
    for (unsigned i = 0; i < WITNESSES; i++)
        buf_printf(&text, "witness w%u %.*s http://w%u/%s\n", i, STR_ARG(cosigner_vkey(witnesses[i].cosigner)), i,
                   i == 2 ? "witness/" : "witness");
    buf_str(&text, str_of(rest));
    assert_int_equal(file_write_durable(world->policy, buf_view(&text), 0600, NULL), OK);
}

static enum status try_open(struct world *world)
{
    witness_close(world->witness);
    world->witness = NULL;
    TRY(witness_open(world->house->ledger, world->policy, world->kept, &world->witness, &world->err));
    world->witness->ask = ask;
    return OK;
}

/* As at a start of the hub. */
static void reopen(struct world *world)
{
    if (try_open(world) != OK)
        fail_msg("%s", world->err.message);
}

#define TWO_OF_THREE "group all-of-them 2 w0 w1 w2\nquorum all-of-them\n"

static int make(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    void *house;
    if (house_make(&house) != 0)
        return -1;
    world->house = house;
    snprintf(world->policy, sizeof world->policy, "%s/policy", world->house->dir);
    snprintf(world->logs, sizeof world->logs, "%s/logs", world->house->dir);
    snprintf(world->kept, sizeof world->kept, "%s/cosigned", world->house->dir);
    house_open(world->house);
    open_cosigners(world);
    write_policy(world, TWO_OF_THREE);
    reopen(world);
    *state = world;
    return 0;
}

static int unmake(void **state)
{
    struct world *world = *state;
    witness_close(world->witness);
    for (unsigned i = 0; i < WITNESSES; i++) {
        cosigner_close(witnesses[i].cosigner);
        witnesses[i].cosigner = NULL;
    }
    void *house = world->house;
    house_remove(&house);
    arena_free(&world->arena);
    free(world);
    return 0;
}

/* A round in which nobody is spared for having failed before. */
static void ask_everybody(struct world *world)
{
    for (size_t i = 0; i < world->witness->peer_count; i++)
        world->witness->peers[i].due_us = 0;
    witness_round(world->witness, 10000);
}

static void grow(struct world *world, size_t count)
{
    house_append(world->house, count);
    ask_everybody(world);
}

static uint64_t size_of(struct world *world, struct str note)
{
    struct note parsed;
    struct checkpoint checkpoint;
    assert_int_equal(checkpoint_open(&world->arena, note, &world->witness->log, &parsed, &checkpoint, NULL), OK);
    return checkpoint.size;
}

/* That many witnesses have cosigned the newest checkpoint, and that is, or is not, enough. */
static void assert_cosigned_by(struct world *world, unsigned count, bool enough)
{
    auto_buf struct buf newest = {0}, cosigned = {0};
    struct note note;
    unsigned signatures = 0;
    uint64_t time;
    assert_true(witness_newest(world->witness, &newest));
    assert_int_equal(size_of(world, buf_view(&newest)), house_state(world->house).size);
    assert_int_equal(note_parse(&world->arena, buf_view(&newest), &note, NULL), OK);
    for (size_t i = 0; i < world->witness->peer_count; i++)
        signatures += cosignature_check(&note, &world->witness->peers[i].party->verifier, &time) == NOTE_SIGNED;
    assert_int_equal(signatures, count);
    assert_int_equal(note.count, 1 + count);
    bool accepted = witness_cosigned(world->witness, &cosigned) && str_eq(buf_view(&cosigned), buf_view(&newest));
    assert_int_equal(accepted, enough);
}

static void assert_alarm(struct world *world, const char *words)
{
    assert_true(witness_alarmed(world->witness));
    assert_int_equal(witness_may_append(world->witness, &world->err), UNAVAILABLE);
    if (!strstr(world->err.message, words))
        fail_msg("%s", world->err.message);
}

static void assert_no_alarm(struct world *world)
{
    if (witness_may_append(world->witness, &world->err) != OK)
        fail_msg("%s", world->err.message);
    assert_false(witness_alarmed(world->witness));
}

static bool metrics_have(struct world *world, const char *line)
{
    auto_buf struct buf text = {0};
    witness_metrics(world->witness, &text);
    buf_byte(&text, '\0');
    return strstr(text.data, line) != NULL;
}

/* Witnesses that do as they should. */

static void witnesses_cosign_what_grows(void **state)
{
    struct world *world = *state;
    const size_t steps[] = {1, 1, 5, 300};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        grow(world, steps[i]);
        assert_cosigned_by(world, 3, true);
    }
    /* From the second on they are asked with the size that they remember. */
    for (unsigned i = 0; i < WITNESSES; i++)
        assert_int_equal(witnesses[i].asked, 4);
    assert_no_alarm(world);
    assert_true(metrics_have(world, "cairn_witness_alarm 0\n"));
    assert_true(metrics_have(world, "cairn_witness_cosigned_size 307\n"));
    assert_true(metrics_have(world, "cairn_witness_lag_seconds 0.000\n"));
    assert_false(metrics_have(world, "{witness=\"w0.example.org/witness\"} 0.000\n"));
}

static void an_empty_log_is_cosigned_too(void **state)
{
    struct world *world = *state;
    ask_everybody(world);
    assert_cosigned_by(world, 3, true);
    grow(world, 2);
    assert_cosigned_by(world, 3, true);
}

static void who_has_signed_is_not_asked_again_at_once(void **state)
{
    struct world *world = *state;
    grow(world, 5);
    unsigned before = witnesses[0].asked;
    witness_round(world->witness, 10000);
    assert_int_equal(witnesses[0].asked, before);
    house_append(world->house, 1);
    witness_round(world->witness, 10000);
    assert_int_equal(witnesses[0].asked, before + 1);
    assert_cosigned_by(world, 3, true);
}

static void after_a_restart_it_learns_what_they_have_seen(void **state)
{
    struct world *world = *state;
    grow(world, 5);
    reopen(world);
    grow(world, 3);
    assert_cosigned_by(world, 3, true);
    assert_int_equal(witnesses[0].asked, 3); /* the third time with the size that the second named */
}

static void what_was_cosigned_is_kept_over_a_restart(void **state)
{
    struct world *world = *state;
    auto_buf struct buf before = {0}, after = {0};
    grow(world, 5);
    assert_true(witness_cosigned(world->witness, &before));
    for (unsigned i = 0; i < WITNESSES; i++)
        witnesses[i].manner = DOWN;
    reopen(world);
    assert_true(witness_cosigned(world->witness, &after));
    assert_true(str_eq(buf_view(&before), buf_view(&after)));
    assert_int_equal(witness_start_check(world->witness, &world->err), OK);
    assert_false(metrics_have(world, "cairn_witness_cosigned_size 0\n"));
}

static void what_was_kept_is_not_used_when_the_policy_asks_for_more(void **state)
{
    struct world *world = *state;
    auto_buf struct buf cosigned = {0};
    witnesses[2].manner = DOWN;
    grow(world, 5);
    assert_cosigned_by(world, 2, true);
    write_policy(world, "group all-of-them all w0 w1 w2\nquorum all-of-them\n");
    reopen(world);
    assert_false(witness_cosigned(world->witness, &cosigned));
    assert_int_equal(cosigned.len, 0);
}

static void without_the_quorum_nothing_is_accepted(void **state)
{
    struct world *world = *state;
    auto_buf struct buf note = {0};
    witnesses[0].manner = witnesses[1].manner = DOWN;
    grow(world, 5);
    assert_cosigned_by(world, 1, false);
    assert_int_equal(witness_cosigned_for(world->witness, 4, &note, &world->err), UNAVAILABLE);
    assert_int_equal(note.len, 0);
    assert_int_equal(witness_cosigned_for(world->witness, 5, &note, &world->err), NOT_FOUND);
    assert_no_alarm(world); /* those that cannot be reached stop nobody */
    assert_false(metrics_have(world, "cairn_witness_lag_seconds 0.000\n"));
    witnesses[0].manner = HONEST;
    ask_everybody(world);
    assert_cosigned_by(world, 2, true);
    assert_int_equal(witness_cosigned_for(world->witness, 4, &note, &world->err), OK);
    assert_int_equal(size_of(world, buf_view(&note)), 5);
    assert_true(metrics_have(world, "cairn_witness_lag_seconds 0.000\n"));
}

static void a_leaf_is_covered_by_the_newest_accepted_checkpoint(void **state)
{
    struct world *world = *state;
    auto_buf struct buf note = {0};
    grow(world, 5);
    witnesses[0].manner = witnesses[1].manner = witnesses[2].manner = DOWN;
    grow(world, 3);
    assert_cosigned_by(world, 0, false);
    assert_int_equal(witness_cosigned_for(world->witness, 4, &note, &world->err), OK);
    assert_int_equal(size_of(world, buf_view(&note)), 5);
    assert_int_equal(witness_cosigned_for(world->witness, 5, &note, &world->err), UNAVAILABLE);
    assert_int_equal(witness_cosigned_for(world->witness, 8, &note, &world->err), NOT_FOUND);
}

static void a_policy_that_asks_for_nobody_accepts_at_once(void **state)
{
    struct world *world = *state;
    auto_buf struct buf note = {0};
    write_policy(world, "quorum none\n");
    reopen(world);
    witnesses[0].manner = witnesses[1].manner = witnesses[2].manner = DOWN;
    grow(world, 5);
    assert_cosigned_by(world, 0, true);
    assert_int_equal(witness_cosigned_for(world->witness, 4, &note, &world->err), OK);
}

static void a_policy_that_can_never_be_met_is_refused(void **state)
{
    struct world *world = *state;
    auto_buf struct buf text = {0};
    buf_printf(&text, "witness w0 %.*s\nquorum w0\n", STR_ARG(cosigner_vkey(witnesses[0].cosigner)));
    assert_int_equal(file_write_durable(world->policy, buf_view(&text), 0600, NULL), OK);
    assert_int_equal(try_open(world), UNSUPPORTED);
    assert_non_null(strstr(world->err.message, "URL"));
    text.len = 0;
    buf_printf(&text, "witness w0 %.*s http://w0\nwitness w1 %.*s\ngroup both 2 w0 w1\nquorum both\n",
               STR_ARG(cosigner_vkey(witnesses[0].cosigner)), STR_ARG(cosigner_vkey(witnesses[1].cosigner)));
    assert_int_equal(file_write_durable(world->policy, buf_view(&text), 0600, NULL), OK);
    assert_int_equal(try_open(world), UNSUPPORTED);
    assert_int_equal(file_write_durable(world->policy, STR("quorum none\nnonsense\n"), 0600, NULL), OK);
    assert_int_equal(try_open(world), INVALID);
    assert_non_null(strstr(world->err.message, "Line 2"));
}

/* Somebody may show our checkpoints to a witness before we do. */
static void a_witness_may_have_a_newer_tree_from_somebody_else(void **state)
{
    struct world *world = *state;
    grow(world, 5);
    witnesses[0].manner = SOMEBODY_AHEAD;
    house_append(world->house, 1);
    /* The round is about six entries; when the answer comes the log has eight. */
    for (size_t i = 0; i < world->witness->peer_count; i++)
        world->witness->peers[i].due_us = i == 0 ? 0 : INT64_MAX;
    auto_buf struct buf six = {0};
    ledger_checkpoint(world->house->ledger, &six);
    struct note parsed;
    world->witness->sent.note = arena_copy(&world->arena, buf_view(&six));
    assert_int_equal(checkpoint_open(&world->arena, buf_view(&six), &world->witness->log, &parsed,
                                     &world->witness->sent.checkpoint, NULL),
                     OK);
    world->witness->sent.text = parsed.text;
    witness_renew(world->witness);
    house_append(world->house, 2);
    peer_ask(world->witness, &world->witness->peers[0], 10000);
    assert_no_alarm(world);
    assert_int_equal(world->witness->peers[0].failures, 0);
    assert_int_equal(world->witness->peers[0].known, 8);
    witnesses[0].manner = HONEST; /* it says that it has five, and is believed */
    ask_everybody(world);
    assert_cosigned_by(world, 3, true);
}

/* Liars. */

static void a_liar_among_honest_ones_changes_nothing(void **state)
{
    struct world *world = *state;
    const enum manner liars[] = {DOWN,       OF_ANOTHER_TREE,   OF_ANOTHER_KEY, GARBAGE,     MORE_TEXT, SIZE_OF_NOTHING,
                                 SIZE_AGAIN, SIZES_WITHOUT_END, UNKNOWN_LOG,    NO_SUCH_KEY, HURRIED};
    grow(world, 20);
    for (size_t i = 0; i < sizeof liars / sizeof *liars; i++) {
        witnesses[1].manner = liars[i];
        witnesses[1].asked = 0;
        world->witness->peers[1].known = 0; /* so that 0 is what it was asked with */
        grow(world, 1);
        assert_cosigned_by(world, 2, true);
        assert_no_alarm(world);
        assert_in_range(witnesses[1].asked, 1, 4);
        assert_true(world->witness->peers[1].failures > 0);
    }
    witnesses[1].manner = AMONG_OTHERS;
    grow(world, 1);
    assert_cosigned_by(world, 3, true);
    assert_int_equal(world->witness->peers[1].failures, 0);
}

static void a_witness_that_fails_is_spared_for_a_while(void **state)
{
    struct world *world = *state;
    witnesses[1].manner = DOWN;
    grow(world, 1);
    unsigned before = witnesses[1].asked;
    house_append(world->house, 1);
    world->witness->peers[1].due_us = INT64_MAX; /* whatever the clock says */
    witness_round(world->witness, 10000);
    assert_int_equal(witnesses[1].asked, before);
    assert_cosigned_by(world, 2, true);
}

static void alarm_at(void **state, enum manner manner, const char *words)
{
    struct world *world = *state;
    auto_buf struct buf note = {0};
    grow(world, 5);
    assert_no_alarm(world);
    witnesses[1].manner = manner;
    witnesses[1].asked = 0;
    grow(world, 1);
    assert_alarm(world, words);
    assert_alarm(world, "w1");
    assert_int_equal(witnesses[1].asked, 1); /* and never asked again in the same breath */
    assert_true(metrics_have(world, "cairn_witness_alarm 1\n"));
    assert_cosigned_by(world, 2, true); /* reading goes on, and so do the others */
    assert_int_equal(witness_cosigned_for(world->witness, 5, &note, &world->err), OK);
    witnesses[1].manner = HONEST;
    ask_everybody(world);
    assert_alarm(world, words); /* until the hub is started again */
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), OK);
    assert_no_alarm(world);
}

static void a_conflict_without_a_size_is_an_alarm(void **state)
{
    alarm_at(state, UNTYPED_CONFLICT, "two histories");
}

static void a_tree_that_is_not_proved_is_an_alarm(void **state)
{
    alarm_at(state, UNPROVED, "two histories");
}

static void a_larger_tree_than_ours_is_an_alarm(void **state)
{
    alarm_at(state, SIZE_BEYOND, "tree of 1000 entries, and this log has only 6");
}

/* Drills: the log itself is not what the witnesses saw. */

static void copy_folder(const char *from, const char *to)
{
    char command[600];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -a '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

static void at_start_a_restored_log_is_refused(void **state)
{
    struct world *world = *state;
    char backup[200];
    snprintf(backup, sizeof backup, "%s/backup", world->house->dir);
    house_append(world->house, 5);
    witness_close(world->witness);
    world->witness = NULL;
    house_close(world->house);
    copy_folder(world->house->folder, backup); /* log, key and the signer's record */
    house_open(world->house);
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), OK);
    grow(world, 4);
    assert_cosigned_by(world, 3, true);

    witness_close(world->witness);
    world->witness = NULL;
    house_close(world->house);
    copy_folder(backup, world->house->folder);
    house_open(world->house); /* the signer's record is as old, so nothing in the folder tells */
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), CORRUPT);
    assert_non_null(strstr(world->err.message, "9 entries"));
    assert_non_null(strstr(world->err.message, "of 5"));
    assert_int_equal(unlink(world->kept), 0); /* when that was restored as well, the witnesses tell */
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), CORRUPT);
    assert_non_null(strstr(world->err.message, "tree of 9 entries, and this log has only 5"));
    assert_alarm(world, "only 5");
}

static void at_start_another_history_is_refused(void **state)
{
    struct world *world = *state;
    char backup[200], room[ENTRY_MOST];
    uint64_t first;
    snprintf(backup, sizeof backup, "%s/backup", world->house->dir);
    house_append(world->house, 5);
    house_close(world->house);
    copy_folder(world->house->folder, backup);
    house_open(world->house);
    reopen(world);
    grow(world, 4);

    witness_close(world->witness);
    world->witness = NULL;
    house_close(world->house);
    copy_folder(backup, world->house->folder);
    house_open(world->house);
    for (uint64_t i = 0; i < 6; i++) { /* it grows, but otherwise, past what they saw */
        struct str entry = entry_of(100 + i, room);
        assert_int_equal(ledger_append(world->house->ledger, &entry, 1, &first, &world->err), OK);
    }
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), CORRUPT); /* by what was kept */
    assert_int_equal(unlink(world->kept), 0);
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), CORRUPT);
    assert_non_null(strstr(world->err.message, "two histories"));
    assert_alarm(world, "two histories");
}

static void at_start_nobody_who_is_away_stops_the_hub(void **state)
{
    struct world *world = *state;
    grow(world, 5);
    for (unsigned i = 0; i < WITNESSES; i++)
        witnesses[i].manner = DOWN;
    reopen(world);
    assert_int_equal(witness_start_check(world->witness, &world->err), OK);
    assert_no_alarm(world);
}

/* The thread. */

static void a_hub_without_witnesses_has_no_alarm(void **state)
{
    (void)state;
    auto_buf struct buf text = {0};
    assert_int_equal(witness_may_append(NULL, NULL), OK);
    assert_false(witness_alarmed(NULL));
    witness_notice(NULL);
    witness_close(NULL);
    witness_metrics(NULL, &text);
    assert_int_equal(text.len, 0);
}

static void the_thread_sends_what_is_new_while_others_read(void **state)
{
    struct world *world = *state;
    witness_start(world->witness);
    for (unsigned i = 0; i < 20; i++) {
        auto_buf struct buf note = {0}, any = {0};
        house_append(world->house, 1);
        witness_notice(world->witness);
        while (witness_cosigned_for(world->witness, i, &note, &world->err) == UNAVAILABLE) {
            any.len = 0;
            witness_newest(world->witness, &any);
            witness_metrics(world->witness, &any);
            usleep(1000);
        }
        assert_true(size_of(world, buf_view(&note)) > i);
        assert_no_alarm(world);
    }
    witness_close(world->witness);
    world->witness = NULL;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, unmake)
static const struct CMUnitTest tests[] = {
    TEST(witnesses_cosign_what_grows),
    TEST(an_empty_log_is_cosigned_too),
    TEST(who_has_signed_is_not_asked_again_at_once),
    TEST(after_a_restart_it_learns_what_they_have_seen),
    TEST(what_was_cosigned_is_kept_over_a_restart),
    TEST(what_was_kept_is_not_used_when_the_policy_asks_for_more),
    TEST(without_the_quorum_nothing_is_accepted),
    TEST(a_leaf_is_covered_by_the_newest_accepted_checkpoint),
    TEST(a_policy_that_asks_for_nobody_accepts_at_once),
    TEST(a_policy_that_can_never_be_met_is_refused),
    TEST(a_witness_may_have_a_newer_tree_from_somebody_else),
    TEST(a_liar_among_honest_ones_changes_nothing),
    TEST(a_witness_that_fails_is_spared_for_a_while),
    TEST(a_conflict_without_a_size_is_an_alarm),
    TEST(a_tree_that_is_not_proved_is_an_alarm),
    TEST(a_larger_tree_than_ours_is_an_alarm),
    TEST(at_start_a_restored_log_is_refused),
    TEST(at_start_another_history_is_refused),
    TEST(at_start_nobody_who_is_away_stops_the_hub),
    cmocka_unit_test(a_hub_without_witnesses_has_no_alarm),
    TEST(the_thread_sends_what_is_new_while_others_read),
};
HOUSE_MAIN(tests)
