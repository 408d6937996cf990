/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#define MODEL "flora"

/* A statement over a.txt, a/b.bin and w.bin, and those files. */
static struct manifest_file *some_files(struct arena *arena)
{
    struct manifest_file *files = arena_array(arena, 3, sizeof *files);
    files[0] = file_of("w.bin", "weights");
    files[1] = file_of("a/b.bin", "two");
    files[2] = file_of("a.txt", "one");
    return files;
}

static struct str some_statement(struct arena *arena)
{
    struct error err;
    auto_buf struct buf out = {0};
    struct manifest manifest = manifest_of(arena, some_files(arena), 3);
    expect(OK, oms_statement_write(arena, &manifest, STR(MODEL), &out, &err));
    return arena_copy(arena, buf_view(&out));
}

static void a_statement_survives_the_round_trip(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_statement read;
    struct manifest manifest = manifest_of(&arena, some_files(&arena), 3);
    expect(OK, oms_statement_read(&arena, some_statement(&arena), &read, &err));
    assert_str(read.model, MODEL);
    assert_memory_equal(read.root, manifest.root, SHA256_SIZE);
    assert_int_equal(read.hash, OMS_SHA256);
    assert_int_equal(read.shard_size, 0);
    assert_int_equal(read.rules.count, 4);
    assert_int_equal(read.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(str_eq(read.resources[i].name, manifest.files[i].name));
        assert_memory_equal(read.resources[i].digest, manifest.files[i].sha256, SHA256_SIZE);
    }
}

static void a_model_needs_a_name(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf out = {0};
    struct manifest manifest = manifest_of(&arena, some_files(&arena), 3);
    expect(INVALID, oms_statement_write(&arena, &manifest, STR(""), &out, &err));
    expect(INVALID, oms_statement_write(&arena, &manifest, STR("\xFF"), &out, &err));
    assert_int_equal(out.len, 0);
}

#define TWO "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"

static void what_contradicts_itself_or_the_specification_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum status status;
        const char *from, *to;
    } changes[] = {
        {UNPROCESSABLE, "signature/v1.0", "signature/v1.1"},
        {UNPROCESSABLE, "https://model_signing/signature/v1.0", "https://model_signing/Digests/v0.1"},
        {INVALID, "\"" MODEL "\"", "\"\""},
        {INVALID, "\"digest\":{\"sha256\"", "\"digest\":{\"sha512\""},
        {INVALID, "\"}}],\"predicateType\"", "\"}},{\"name\":\"n\",\"digest\":{\"sha256\":\"00\"}}],\"predicateType\""},
        {INVALID, "\"serialization\":", "\"extra\":1,\"serialization\":"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"files\",\"extra\":1"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"files\",\"shard_size\":5"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\""},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\",\"shard_size\":0"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\",\"shard_size\":1.5"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\",\"shard_size\":1e300"},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\",\"shard_size\":\"5\""},
        {INVALID, "\"method\":\"files\"", "\"method\":\"shards\",\"shard_size\":5"},
        {UNSUPPORTED, "\"method\":\"files\"", "\"method\":\"folders\""},
        {UNSUPPORTED, "\"method\":\"files\",", ""},
        {UNSUPPORTED, "\"hash_type\":\"sha256\"", "\"hash_type\":\"md5\""},
        {INVALID, "\"hash_type\":\"sha256\"", "\"hash_type\":\"blake2b\""},
        {UNSUPPORTED, "\"allow_symlinks\":false", "\"allow_symlinks\":true"},
        {INVALID, "\"allow_symlinks\":false,", ""},
        {INVALID, "\"allow_symlinks\":false", "\"allow_symlinks\":\"false\""},
        {INVALID, "[\".git\"", "[\"../x\""},
        {INVALID, "[\".git\"", "[\".\""},
        {INVALID, "[\".git\"", "[7"},
        {INVALID, "\"ignore_paths\":[\".git\",\".gitattributes\",\".github\",\".gitignore\"]", "\"ignore_paths\":{}"},
        {INVALID, TWO, "4fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"},
        {INVALID, TWO, "3FC4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3"},
        {INVALID, TWO, "3fc4"},
        {INVALID, "\"algorithm\":\"sha256\"", "\"algorithm\":\"sha512\""},
        {INVALID, "\"algorithm\":\"sha256\"", "\"algorithm\":\"sha256-sharded-0\""},
        {INVALID, "\"a.txt\"", "\"w.bin\""},
        {INVALID, "\"a.txt\"", "\"/a.txt\""},
        {INVALID, "\"a.txt\"", "\"a/../../x\""},
        {INVALID, "\"a.txt\"", "\"a\\nb\""},
        {INVALID, "\"name\":\"a.txt\",", ""},
    };
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_statement read;
    struct str good = some_statement(&arena);
    for (size_t i = 0; i < COUNT(changes); i++) {
        struct str text = exact(swapped(&arena, good, changes[i].from, changes[i].to));
        enum status status = oms_statement_read(&arena, text, &read, &err);
        if (status != changes[i].status)
            broken("change %zu gave status %d: %s", i, status, status ? err.message : "");
        done(text);
    }
}

static void resources_that_are_missing_or_none_are_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_statement read;
    struct str good = some_statement(&arena);
    const char *list = strstr(good.data, "\"resources\":[") + strlen("\"resources\":[");
    struct str none = arena_printf(&arena, "%.*s]}}", (int)(list - good.data), good.data);
    expect(INVALID, oms_statement_read(&arena, none, &read, &err));
    expect_message("resources");
}

static void a_file_that_is_listed_twice_is_named(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct oms_statement read;
    struct str twice = swapped(&arena, some_statement(&arena), "\"a.txt\"", "\"w.bin\"");
    expect(INVALID, oms_statement_read(&arena, twice, &read, &err));
    expect_message("names the file \"w.bin\" twice");
}

/* A statement of shards of 4 bytes with these names, all with the same digest. */
static enum status read_shards(struct arena *arena, const char *const *names, size_t count, struct error *err)
{
    static const char digest[] = "0000000000000000000000000000000000000000000000000000000000000000";
    auto_buf struct buf list = {0}, raw = {0};
    uint8_t root[SHA256_SIZE];
    struct oms_statement read;
    for (size_t i = 0; i < count; i++) {
        buf_printf(&list, "%s{\"name\":\"%s\",\"algorithm\":\"sha256\",\"digest\":\"%s\"}", i ? "," : "", names[i],
                   digest);
        buf_add(&raw, (uint8_t[SHA256_SIZE]){0}, SHA256_SIZE);
    }
    sha256(buf_view(&raw), root);
    return oms_statement_read(
        arena,
        arena_printf(
            arena,
            "{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{\"name\":\"m\",\"digest\":{\"sha256\":"
            "\"%s\"}}],\"predicateType\":\"https://model_signing/signature/v1.0\",\"predicate\":{"
            "\"serialization\":{\"method\":\"shards\",\"hash_type\":\"sha256\",\"allow_symlinks\":false,"
            "\"shard_size\":4},\"resources\":[%.*s]}}",
            hex_of(arena, root).data, STR_ARG(buf_view(&list))),
        &read, err);
}

static void shards_must_cover_their_file(void **state)
{
    (void)state;
    static const char *const good[][3] = {{"a:0:4", "a:4:8", "a:8:9"},
                                          {"a:8:9", "a:0:4", "a:4:8"},
                                          {"a:0:1", "b:0:4", "b:4:5"},
                                          {"a:b:0:4", "a:b:4:8", "c:0:2"}};
    static const char *const bad[][3] = {{"a:0:4", "a:4:8", "a:4:8"},  {"a:0:4", "a:8:9", "b:0:1"},
                                         {"a:4:8", "b:0:4", "c:0:4"},  {"a:0:3", "a:3:6", "a:6:9"},
                                         {"a:0:3", "a:4:8", "b:0:1"},  {"a:0:5", "b:0:1", "c:0:1"},
                                         {"a:0:0", "b:0:1", "c:0:1"},  {"a:4:0", "b:0:1", "c:0:1"},
                                         {"a:0", "b:0:1", "c:0:1"},    {"a", "b:0:1", "c:0:1"},
                                         {":0:1", "b:0:1", "c:0:1"},   {"a:00:4", "b:0:1", "c:0:1"},
                                         {"a:-4:0", "b:0:1", "c:0:1"}, {"a:0:+4", "b:0:1", "c:0:1"},
                                         {"a:0: 4", "b:0:1", "c:0:1"}, {"a:0:99999999999999999999", "b:0:1", "c:0:1"},
                                         {"a:0:4:", "b:0:1", "c:0:1"}, {"../a:0:4", "b:0:1", "c:0:1"}};
    struct error err;
    auto_arena struct arena arena = {0};
    for (size_t i = 0; i < COUNT(good); i++)
        expect(OK, read_shards(&arena, good[i], 3, &err));
    for (size_t i = 0; i < COUNT(bad); i++)
        if (read_shards(&arena, bad[i], 3, &err) != INVALID)
            broken("shards %zu went through", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_statement_survives_the_round_trip),
        cmocka_unit_test(a_model_needs_a_name),
        cmocka_unit_test(what_contradicts_itself_or_the_specification_is_refused),
        cmocka_unit_test(resources_that_are_missing_or_none_are_refused),
        cmocka_unit_test(a_file_that_is_listed_twice_is_named),
        cmocka_unit_test(shards_must_cover_their_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
