/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tree over a batch's records, and the table of the ladder. */
#include "base/buf.h"
#include "use/enforce.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#undef fail

/* No house around it. */
const struct module *const modules[] = {NULL};

static struct str some_records(struct arena *arena, size_t count)
{
    auto_buf struct buf out = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&out, "{\"at\":%zu}\n", i);
    return arena_copy(arena, buf_view(&out));
}

static void every_record_of_a_batch_of_any_size_is_proved(void **state)
{
    (void)state;
    for (size_t count = 1; count <= 70; count++) {
        auto_arena struct arena arena = {0};
        struct record_lines all = record_lines(&arena, some_records(&arena, count));
        struct tlog_frontier tree = {0};
        assert_int_equal(count, all.count);
        for (size_t i = 0; i < count; i++)
            tlog_append(&tree, &all.hashes[i], NULL);
        struct tlog_hash root = tlog_root(&tree);
        for (size_t i = 0; i < count; i++) {
            struct tlog_path path;
            assert_int_equal(OK, record_prove(&all, i, &path, NULL));
            assert_true(tlog_includes(i, count, &all.hashes[i], &root, &path));
            struct tlog_hash other = tlog_leaf_hash(STR("{\"at\":-1}"));
            assert_false(tlog_includes(i, count, &other, &root, &path));
        }
    }
}

static void a_record_that_is_not_there_has_no_proof(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct record_lines all = record_lines(&arena, some_records(&arena, 3));
    struct tlog_path path;
    assert_int_equal(INVALID, record_prove(&all, 3, &path, NULL));
}

static void a_person_is_found_by_salt_and_number_alone(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct str one = record_person(&arena, STR("salt of 16 bytes"), 7);
    assert_int_equal(64, one.len);
    assert_true(str_eq(one, record_person(&arena, STR("salt of 16 bytes"), 7)));
    assert_false(str_eq(one, record_person(&arena, STR("salt of 16 bytes"), 8)));
    assert_false(str_eq(one, record_person(&arena, STR("salt of 16 bytfs"), 7)));
}

/* ---- the ladder ---- */

static enum status keep_in_memory(struct step *step, struct error *err)
{
    struct enforcing *e = step->subject;
    (void)err;
    e->state = (enum ladder_state)step->to;
    return OK;
}

/* The machine's own table with nothing behind it: what leads where, for whom, on which ground. */
static enum status try_step(struct enforcing *e, enum ladder_event event, enum mover by, const char *code, bool two)
{
    static struct move moves[64];
    struct machine bare = enforcement_machine;
    assert_true(bare.move_count <= 64);
    memcpy(moves, bare.moves, bare.move_count * sizeof *moves);
    for (size_t i = 0; i < bare.move_count; i++)
        moves[i].effect = NULL;
    bare.moves = moves;
    bare.save = keep_in_memory;
    e->code = str_of(code);
    e->second_id = two ? 2 : 0;
    struct step step = {.machine = &bare, .subject = e, .from = e->state, .event = event, .by = by, .back = -1};
    struct error err = {0};
    return machine_do(&step, &err);
}

static void the_ladder_leads_where_c15_says(void **state)
{
    (void)state;
    for (enum ladder_state from = CLEAR; from <= SITE_BLOCKED; from++)
        for (enum ladder_event event = GIVE_NOTICE; event <= SITE_BLOCK; event++)
            for (int safety = 0; safety <= 1; safety++)
                for (int two = 0; two <= 1; two++)
                    for (enum mover by = BY_HOLDER; by <= BY_RULE; by <<= 1) {
                        struct enforcing e = {.state = from};
                        enum status got = try_step(&e, event, by, safety ? "imminent-harm" : "passed-on", two);
                        bool may = by == BY_BOARD || (by == BY_OWNER && event != SITE_BLOCK);
                        bool next = (int)event <= (int)from, enters = safety && two;
                        assert_int_equal(may && (next || enters), got == OK);
                        if (got != OK)
                            assert_int_equal(from, e.state);
                        else
                            assert_int_equal((int)event + 1 > (int)from ? (int)event + 1 : (int)from, e.state);
                    }
}

static void what_people_say_never_strikes(void **state)
{
    (void)state;
    for (enum ladder_state from = CLEAR; from <= SITE_BLOCKED; from++)
        for (int two = 0; two <= 1; two++) {
            struct enforcing e = {.state = from};
            assert_int_not_equal(OK, try_step(&e, STRIKE, BY_OWNER, "message", two));
            assert_int_not_equal(OK, try_step(&e, STRIKE, BY_BOARD, "message", two));
        }
    struct enforcing e = {.state = REVOKED};
    assert_int_equal(OK, try_step(&e, STRIKE, BY_OWNER, "misuse", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_of_a_batch_of_any_size_is_proved),
        cmocka_unit_test(a_record_that_is_not_there_has_no_proof),
        cmocka_unit_test(a_person_is_found_by_salt_and_number_alone),
        cmocka_unit_test(the_ladder_leads_where_c15_says),
        cmocka_unit_test(what_people_say_never_strikes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
