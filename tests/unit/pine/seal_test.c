/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A share on its way to a house: sealed as it is made, read as it is needed; nobody else opens it, nobody cuts it short. */
#include "pine/seal.h"
#include "report.h"

#define INFO STR("the round's context")
#define AAD STR("report and key id")

struct sealed {
    uint8_t private_key[HPKE_KEY_SIZE];
    struct buf plain, sealed;
};
#define auto_sealed __attribute__((cleanup(sealed_free)))

static void sealed_free(struct sealed *s)
{
    buf_free(&s->plain);
    buf_free(&s->sealed);
}

/* len bytes, written in pieces of many sizes. */
static void seal_bytes(struct sealed *s, size_t len)
{
    struct error err;
    uint8_t public_key[HPKE_KEY_SIZE];
    auto_seal struct seal seal = {0};
    hpke_key_make(s->private_key, public_key);
    s->plain.len = s->sealed.len = 0;
    buf_reserve(&s->plain, len + 1);
    s->plain.len = len;
    for (size_t i = 0; i < len; i++)
        s->plain.data[i] = (char)(i * 31 ^ i >> 11);
    expect(OK, seal_begin(&seal, public_key, INFO, AAD, (struct pine_sink){into_buf, &s->sealed}, &err));
    struct pine_sink sink = seal_sink(&seal);
    for (size_t at = 0, step = 1; at < len; at += step, step = step * 5 + 3) {
        if (step > len - at)
            step = len - at;
        expect(OK, sink.write(sink.context, (uint8_t *)s->plain.data + at, step, &err));
    }
    expect(OK, seal_finish(&seal, &err));
    assert_int_equal(s->sealed.len, seal_size(len));
}

/* The first refusal of opening the share as a whole. */
static enum status read_all(struct sealed *s, struct str info, struct str aad, struct error *err)
{
    auto_unseal struct unseal unseal = {0};
    auto_buf struct buf got = {0};
    struct str sealed = buf_view(&s->sealed);
    TRY(unseal_begin(&unseal, s->private_key, info, aad, pine_source_memory(&sealed), sealed.len, err));
    struct pine_source source = unseal_source(&unseal);
    buf_reserve(&got, unseal.plain + 1);
    TRY(source.read(source.context, 0, (uint8_t *)got.data, unseal.plain, err));
    if (unseal.plain != s->plain.len || (unseal.plain && memcmp(got.data, s->plain.data, unseal.plain) != 0))
        broken("another share came out");
    return source.read(source.context, unseal.plain, (uint8_t *)got.data, 1, err) == INVALID ? OK : INTERNAL;
}

static void shares_of_any_size_come_out_as_they_went_in(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 128, SEAL_CHUNK - 1, SEAL_CHUNK, SEAL_CHUNK + 1, 2 * SEAL_CHUNK, 3000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        auto_sealed struct sealed s = {0};
        struct error err;
        seal_bytes(&s, sizes[i]);
        expect(OK, read_all(&s, INFO, AAD, &err));
    }
}

static void they_are_read_from_anywhere(void **state)
{
    (void)state;
    auto_sealed struct sealed s = {0};
    auto_unseal struct unseal unseal = {0};
    struct error err;
    seal_bytes(&s, 3000000);
    struct str sealed = buf_view(&s.sealed);
    expect(OK, unseal_begin(&unseal, s.private_key, INFO, AAD, pine_source_memory(&sealed), sealed.len, &err));
    struct pine_source source = unseal_source(&unseal);
    static const struct {
        uint64_t offset;
        size_t len;
    } places[] = {{2999968, 32}, {0, 5}, {SEAL_CHUNK - 3, 7}, {SEAL_CHUNK - 1, SEAL_CHUNK + 2}, {1500000, 1}};
    uint8_t *out = test_malloc(SEAL_CHUNK + 2);
    for (size_t i = 0; i < COUNT(places); i++) {
        expect(OK, source.read(source.context, places[i].offset, out, places[i].len, &err));
        assert_memory_equal(out, s.plain.data + places[i].offset, places[i].len);
    }
    expect(INVALID, source.read(source.context, 2999999, out, 2, &err));
    expect(INVALID, source.read(source.context, UINT64_MAX, out, 2, &err));
    test_free(out);
}

static void changed_or_mixed_up_chunks_do_not_open(void **state)
{
    (void)state;
    auto_sealed struct sealed s = {0};
    struct error err;
    const size_t full = SEAL_CHUNK + HPKE_TAG_SIZE;
    seal_bytes(&s, 2 * SEAL_CHUNK);
    for (size_t at = 0; at < s.sealed.len; at += 300007) {
        s.sealed.data[at] ^= 1;
        expect(FORBIDDEN, read_all(&s, INFO, AAD, &err));
        assert_string_equal(err.code, "SealBroken");
        s.sealed.data[at] ^= 1;
    }
    char *first = s.sealed.data + HPKE_KEY_SIZE, *kept = test_malloc(full);
    memcpy(kept, first, full);
    memcpy(first, first + full, full);
    expect(FORBIDDEN, read_all(&s, INFO, AAD, &err));
    memcpy(first + full, kept, full);
    expect(FORBIDDEN, read_all(&s, INFO, AAD, &err));
    memcpy(first + full, first, full);
    memcpy(first, kept, full);
    expect(OK, read_all(&s, INFO, AAD, &err)); /* each in its place again */
    test_free(kept);
}

static void a_share_without_its_end_does_not_open(void **state)
{
    (void)state;
    auto_sealed struct sealed s = {0};
    struct error err;
    seal_bytes(&s, 2 * SEAL_CHUNK + 5);
    size_t whole = s.sealed.len, chunk = SEAL_CHUNK + HPKE_TAG_SIZE;
    const size_t cuts[] = {whole - 1, whole - 5, HPKE_KEY_SIZE + 2 * chunk, HPKE_KEY_SIZE + chunk, HPKE_KEY_SIZE + 100};
    for (size_t i = 0; i < COUNT(cuts); i++) {
        s.sealed.len = cuts[i];
        enum status status = read_all(&s, INFO, AAD, &err);
        assert_true(status == FORBIDDEN || status == INVALID);
    }
    for (s.sealed.len = 0; s.sealed.len < HPKE_KEY_SIZE + HPKE_TAG_SIZE; s.sealed.len++)
        expect(INVALID, read_all(&s, INFO, AAD, &err));
}

static void another_round_report_or_house_cannot_open(void **state)
{
    (void)state;
    auto_sealed struct sealed s = {0};
    struct error err;
    seal_bytes(&s, 1000);
    expect(FORBIDDEN, read_all(&s, STR("another round"), AAD, &err));
    expect(FORBIDDEN, read_all(&s, INFO, STR("another report"), &err));
    s.private_key[5] ^= 1;
    expect(FORBIDDEN, read_all(&s, INFO, AAD, &err));
}

static void a_report_is_checked_as_it_lies_there_sealed(void **state)
{
    (void)state;
    enum { D = 300000 };
    auto_report struct report r = {0};
    auto_sealed struct sealed s = {0};
    auto_seal struct seal seal = {0};
    auto_unseal struct unseal unseal = {0};
    struct error err;
    uint8_t rand[7 * SEED_SIZE_MAX], public_key[HPKE_KEY_SIZE];
    int32_t *x = test_calloc(D, sizeof *x);
    struct pine_config config = pine_config_cairn(32, D, 30000, STR("ctx"));
    for (int i = 0; i < D; i++)
        x[i] = i % 81 - 40;
    expect(OK, pine_make(&config, &r.pine, &err));
    random_bytes(rand, sizeof rand);
    random_bytes(r.key, sizeof r.key);
    hpke_key_make(s.private_key, public_key);
    expect(OK, seal_begin(&seal, public_key, INFO, AAD, (struct pine_sink){into_buf, &s.sealed}, &err));
    expect(OK, pine_shard(&r.pine, x, r.nonce, rand, seal_sink(&seal), r.helper, r.public_share, &err));
    expect(OK, seal_finish(&seal, &err));
    struct str sealed = buf_view(&s.sealed);
    expect(OK, unseal_begin(&unseal, s.private_key, INFO, AAD, pine_source_memory(&sealed), sealed.len, &err));
    assert_int_equal(unseal.plain, r.pine.leader_share);
    buf_reserve(&r.prep[0], r.pine.prep_share);
    expect(OK, pine_prep_init(&r.pine, r.key, 0, r.nonce, r.public_share, unseal_source(&unseal), &r.states[0],
                              (uint8_t *)r.prep[0].data, &err));
    expect(OK, report_init(&r, 1, &err));
    expect(OK, report_decide(&r, &err));
    expect(OK, pine_prep_next(&r.pine, &r.states[0], r.message, &err));
    expect(OK, pine_prep_next(&r.pine, &r.states[1], r.message, &err));
    test_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_any_size_come_out_as_they_went_in),
        cmocka_unit_test(they_are_read_from_anywhere),
        cmocka_unit_test(changed_or_mixed_up_chunks_do_not_open),
        cmocka_unit_test(a_share_without_its_end_does_not_open),
        cmocka_unit_test(another_round_report_or_house_cannot_open),
        cmocka_unit_test(a_report_is_checked_as_it_lies_there_sealed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
