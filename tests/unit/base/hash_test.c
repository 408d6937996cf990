/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/hash.h"

#include "check.h"

#include <pthread.h>

static struct str hex(struct arena *arena, const uint8_t *digest, size_t len)
{
    return hex_encode(arena, digest, len);
}

static struct str repeat(struct arena *arena, char c, size_t len)
{
    return (struct str){memset(arena_alloc(arena, len), c, len), len};
}

/* The examples of FIPS 180. */
static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct {
        struct str message;
        const char *sha256, *sha1;
    } table[] = {
        {STR(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {STR("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {repeat(&arena, 'a', 1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
         "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    };
    struct hasher *one = hasher_sha1();
    for (size_t i = 0; i < COUNT(table); i++) {
        uint8_t digest[SHA256_SIZE];
        sha256(table[i].message, digest);
        assert_str(hex(&arena, digest, SHA256_SIZE), table[i].sha256);
        hasher_add(one, table[i].message.data, table[i].message.len);
        hasher_end(one, digest); /* and starts anew for the next round */
        assert_str(hex(&arena, digest, SHA1_SIZE), table[i].sha1);
    }
    hasher_free(one);
}

static void a_digest_in_pieces_is_the_digest_of_the_whole(void **state)
{
    (void)state;
    uint8_t whole[SHA256_SIZE], pieces[SHA256_SIZE], other[SHA256_SIZE];
    sha256(STR("one two three"), whole);
    sha256(STR("one two thref"), other);
    struct hasher *hasher = hasher_sha256();
    hasher_add(hasher, "one ", 4);
    hasher_add(hasher, "", 0);
    hasher_add(hasher, "two three", 9);
    hasher_end(hasher, pieces);
    hasher_free(hasher);
    assert_memory_equal(pieces, whole, SHA256_SIZE);
    assert_memory_not_equal(pieces, other, SHA256_SIZE);
}

static void an_absent_text_hashes_as_an_empty_one(void **state)
{
    (void)state;
    uint8_t absent[SHA256_SIZE], empty[SHA256_SIZE];
    sha256((struct str){NULL, 0}, absent);
    sha256(STR(""), empty);
    assert_memory_equal(absent, empty, SHA256_SIZE);
    hmac_sha256((struct str){NULL, 0}, (struct str){NULL, 0}, absent);
    hmac_sha256(STR(""), STR(""), empty);
    assert_memory_equal(absent, empty, SHA256_SIZE);
    hasher_free(NULL);
}

/* RFC 4231, test cases 1, 2, 3 and 6; the last key is longer than a block. */
static void hmacs_are_those_of_rfc_4231(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct {
        struct str key, data;
        const char *expected;
    } table[] = {
        {repeat(&arena, 0x0B, 20), STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {STR("Jefe"), STR("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {repeat(&arena, (char)0xAA, 20), repeat(&arena, (char)0xDD, 50),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {repeat(&arena, (char)0xAA, 131), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        uint8_t digest[SHA256_SIZE];
        hmac_sha256(table[i].key, table[i].data, digest);
        assert_str(hex(&arena, digest, sizeof digest), table[i].expected);
    }
}

static void random_bytes_fill_all_and_differ_each_time(void **state)
{
    (void)state;
    unsigned char a[1000] = {0}, b[1000] = {0}, zero[32] = {0};
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a + sizeof a - sizeof zero, zero, sizeof zero);
    random_bytes(a, 0);
}

static void secrets_are_equal_only_when_every_byte_is(void **state)
{
    (void)state;
    assert_true(equal_secret("secret", "secret", 6));
    assert_false(equal_secret("secret", "secreT", 6));
    assert_false(equal_secret("\0ecret", "secret", 6));
    assert_true(equal_secret("a", "b", 0));
}

static void *hash_a_while(void *result)
{
    for (int i = 0; i < 200; i++)
        sha256(STR("abc"), result);
    return NULL;
}

static void threads_hash_without_disturbing_each_other(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    pthread_t threads[4];
    uint8_t digests[4][SHA256_SIZE];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_a_while, digests[i]), 0);
    for (size_t i = 0; i < COUNT(threads); i++) {
        pthread_join(threads[i], NULL);
        assert_str(hex(&arena, digests[i], SHA256_SIZE),
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_hash_without_disturbing_each_other), /* first, so that they race for the digests too */
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(a_digest_in_pieces_is_the_digest_of_the_whole),
        cmocka_unit_test(an_absent_text_hashes_as_an_empty_one),
        cmocka_unit_test(hmacs_are_those_of_rfc_4231),
        cmocka_unit_test(random_bytes_fill_all_and_differ_each_time),
        cmocka_unit_test(secrets_are_equal_only_when_every_byte_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
