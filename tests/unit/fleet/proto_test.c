/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages as they are on the wire: written from the end, read from the beginning, in memory and in files. */
#include "../base/check.h"
#include "base/file.h"
#include "fleet/internal.h"
#include "fleet/object.h"
#include <sys/mman.h>
#include <unistd.h>

static void what_is_written_is_what_protobuf_writes(void **state)
{
    (void)state;
    /* { 1: 150, 2: "testing", 3: { 1: -1 as zigzag, 4: 1.0 }, 5: 0 }, as the format's own guide has the first two. */
    static const char wanted[] = "\x08\x96\x01\x12\x07testing\x1a\x0b\x08\x01\x21\0\0\0\0\0\0\xf0\x3f\x28\0";
    auto_proto struct proto_out out = {0};
    proto_put(&out, 5, 0);
    int64_t inner = proto_mark(&out);
    proto_put_double(&out, 4, 1.0);
    proto_put_signed(&out, 1, -1);
    proto_close(&out, 3, inner);
    proto_put_text(&out, 2, STR("testing"));
    proto_put(&out, 1, 150);
    proto_finish(&out);
    assert_int_equal(out.bytes.len, sizeof wanted - 1);
    assert_memory_equal(out.bytes.data, wanted, out.bytes.len);
}

static void a_hole_counts_in_every_length_around_it_and_keeps_its_place(void **state)
{
    (void)state;
    auto_proto struct proto_out out = {0};
    proto_hole(&out, 7, 0); /* nothing at all */
    proto_hole(&out, 2, 300);
    proto_raw(&out, STR("head"));
    proto_close(&out, 4, 0);
    proto_hole(&out, 1, 5);
    proto_raw(&out, STR("x"));
    proto_close(&out, 9, 307); /* all but the field before it */
    proto_finish(&out);
    assert_int_equal(out.hole_count, 2);
    assert_int_equal(out.held, 305);
    assert_memory_equal(out.bytes.data, "\x4a\x06x\x22\xb0\x02head", 10);
    assert_int_equal(out.holes[0].number, 1);
    assert_int_equal(out.holes[0].at, 3);
    assert_int_equal(out.holes[1].number, 2);
    assert_int_equal(out.holes[1].at, 10);
}

static enum status walk(struct proto message, int *fields, struct error *err)
{
    struct proto_field field;
    bool found;
    for (*fields = 0;; ++*fields) {
        TRY(proto_next(&message, &field, &found, err));
        if (!found)
            return OK;
    }
}

static void check_walk(const char *bytes, size_t len, enum status wanted)
{
    struct proto_source source;
    struct error err = {0};
    int fields;
    proto_source_memory(&source, (struct str){bytes, len});
    assert_int_equal(walk(proto_whole(&source), &fields, &err), wanted);
    assert_true(wanted == OK || err.message[0]);
}

static void what_is_no_message_is_refused(void **state)
{
    (void)state;
    check_walk("", 0, OK);
    check_walk("\x08\x00", 2, OK);
    check_walk("\x08", 1, INVALID);                                          /* no number behind the key */
    check_walk("\x08\x80", 2, INVALID);                                      /* one that does not end */
    check_walk("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, OK);      /* the largest */
    check_walk("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, INVALID); /* a bit more */
    check_walk("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12, INVALID);
    check_walk("\x00\x00", 2, INVALID);                                  /* field 0 */
    check_walk("\x0b", 1, INVALID);                                      /* a group */
    check_walk("\x0f\x00", 2, INVALID);                                  /* no kind that there is */
    check_walk("\x0a\x01", 2, INVALID);                                  /* longer than the message */
    check_walk("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10, INVALID); /* much longer */
    check_walk("\x0d\x00\x00\x00", 4, INVALID);
    check_walk("\x09\x00\x00\x00\x00\x00\x00\x00", 8, INVALID);
}

static void a_message_in_a_file_is_read_as_one_in_memory(void **state)
{
    (void)state;
    auto_proto struct proto_out out = {0};
    auto_arena struct arena arena = {0};
    struct proto_source source;
    struct proto_field field;
    struct error err = {0};
    struct str text;
    bool found;
    int fields;
    for (int i = 0; i < 3000; i++) /* longer than the window */
        proto_put_text(&out, (uint32_t)(i % 7) + 1, STR("a few bytes"));
    proto_put_text(&out, 100, STR("the first"));
    proto_finish(&out);
    int fd = memfd_create("proto", 0);
    assert_int_equal(write_full(fd, out.bytes.data, out.bytes.len, &err), OK);
    proto_source_file(&source, fd, (int64_t)out.bytes.len);
    struct proto message = proto_whole(&source);
    assert_int_equal(walk(message, &fields, &err), OK);
    assert_int_equal(fields, 3001);
    assert_int_equal(proto_find(&message, 100, &field, &found, &err), OK);
    assert_true(found);
    assert_int_equal(proto_text(&message, &field, 9, &arena, &text, &err), OK);
    assert_true(str_eq(text, STR("the first")));
    assert_int_equal(proto_text(&message, &field, 8, &arena, &text, &err), TOO_LARGE);
    assert_int_equal(proto_find(&message, 101, &field, &found, &err), OK);
    assert_false(found);
    close(fd);
}

struct arriving {
    struct str bytes;
    size_t piece;
};

static enum status read_piece(void *context, void *into, size_t most, size_t *got, struct error *err)
{
    struct arriving *a = context;
    (void)err;
    struct str piece = str_slice(a->bytes, 0, a->piece < most ? a->piece : most);
    *got = piece.len;
    memcpy(into, piece.data, piece.len);
    a->bytes = str_from(a->bytes, piece.len);
    return OK;
}

static void a_message_that_arrives_is_walked_onwards_only(void **state)
{
    (void)state;
    auto_proto struct proto_out out = {0};
    auto_arena struct arena arena = {0};
    struct proto_source source;
    struct proto_field first, field;
    struct error err = {0};
    struct str text;
    bool found;
    auto_buf struct buf big = {0};
    for (int i = 0; i < 20000; i++)
        buf_byte(&big, (char)i);
    proto_put_text(&out, 3, STR("behind"));
    proto_put_text(&out, 2, buf_view(&big));
    proto_put_text(&out, 1, buf_view(&big));
    proto_finish(&out);
    for (size_t piece = 1; piece < 30000; piece = piece * 3 + 1) {
        struct arriving arriving = {buf_view(&out.bytes), piece};
        proto_source_stream(&source, read_piece, &arriving, (int64_t)out.bytes.len);
        struct proto message = proto_whole(&source);
        assert_int_equal(proto_next(&message, &first, &found, &err), OK); /* and skipped */
        assert_int_equal(proto_next(&message, &field, &found, &err), OK);
        assert_int_equal(proto_text(&message, &field, big.len, &arena, &text, &err), OK);
        assert_true(str_eq(text, buf_view(&big)));
        assert_int_equal(proto_next(&message, &field, &found, &err), OK);
        assert_int_equal(proto_text(&message, &field, 100, &arena, &text, &err), OK);
        assert_true(str_eq(text, STR("behind")));
        assert_int_equal(proto_text(&message, &first, big.len, &arena, &text, &err), INVALID); /* it is gone */
        assert_int_equal(proto_next(&message, &field, &found, &err), OK);
        assert_false(found);
    }
    struct arriving cut = {str_slice(buf_view(&out.bytes), 0, 30000), 4096};
    proto_source_stream(&source, read_piece, &cut, (int64_t)out.bytes.len);
    struct proto message = proto_whole(&source);
    assert_int_equal(proto_find(&message, 2, &field, &found, &err), OK);
    assert_int_equal(proto_text(&message, &field, big.len, &arena, &text, &err), INVALID);
}

static void put_metric(struct proto_out *out, const char *key, int64_t value)
{
    int64_t item = proto_mark(out), inner = item;
    proto_put_signed(out, 2, value);
    proto_close(out, 2, inner);
    proto_put_text(out, 1, str_of(key));
    proto_close(out, 1, item);
}

/* Wherever the line has cut them. */
static void examples_are_found_while_they_arrive(void **state)
{
    (void)state;
    static const char *const keys[] = {"num-examples", "num_examples", "examples"};
    for (size_t i = 0; i < 3; i++) {
        auto_proto struct proto_out out = {0};
        auto_arena struct arena arena = {0};
        struct proto_source source;
        struct error err = {0};
        put_metric(&out, "seconds", 12);
        put_metric(&out, keys[i], 1234567);
        put_metric(&out, "loss", 3);
        proto_finish(&out);
        for (size_t piece = 1; piece <= out.bytes.len; piece++) {
            int64_t examples = 0;
            struct arriving arriving = {buf_view(&out.bytes), piece};
            proto_source_stream(&source, read_piece, &arriving, (int64_t)out.bytes.len);
            struct proto record = proto_whole(&source);
            assert_int_equal(sent_examples(&record, &arena, &examples, &err), OK);
            assert_int_equal(examples, i < 2 ? 1234567 : 0);
        }
    }
}

static void check_object(struct str bytes, int64_t size, enum status wanted)
{
    struct object_head head;
    struct error err = {0};
    assert_int_equal(object_read(bytes, size, &head, &err), wanted);
    if (wanted == OK)
        assert_true(str_eq(head.type, STR("Array")) && head.head == 13 && head.children.len == 4);
}

static void an_objects_head_fits_its_body(void **state)
{
    (void)state;
    static const char good[] = "Array a,bc 3\0abc";
    check_object((struct str){good, 16}, 16, OK);
    check_object((struct str){good, 13}, 16, OK);      /* the body is elsewhere */
    check_object((struct str){good, 16}, 17, INVALID); /* and longer than it says */
    check_object((struct str){good, 12}, 16, INVALID); /* no end */
    check_object((struct str){"Array\0x", 7}, 7, INVALID);
    check_object((struct str){"Array a\0x", 9}, 9, INVALID);
    check_object((struct str){"Array a -1\0", 11}, 11, INVALID);
    check_object((struct str){"Array a 1 1\0x", 13}, 13, INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_what_protobuf_writes),
        cmocka_unit_test(a_hole_counts_in_every_length_around_it_and_keeps_its_place),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_message_in_a_file_is_read_as_one_in_memory),
        cmocka_unit_test(a_message_that_arrives_is_walked_onwards_only),
        cmocka_unit_test(examples_are_found_while_they_arrive),
        cmocka_unit_test(an_objects_head_fits_its_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
