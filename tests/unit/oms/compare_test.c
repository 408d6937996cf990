/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

/* A statement that the reference tool signed, verified with its key. */
static struct oms_statement tool_statement(struct arena *arena, const char *name)
{
    struct error err;
    struct oms_bundle bundle;
    struct oms_statement statement;
    auto_key EVP_PKEY *key = NULL;
    expect(OK, oms_key_read_public(vector(arena, "tool-key.pub.pem"), &key, &err));
    expect(OK, oms_bundle_read(arena, vector(arena, name), &bundle, &err));
    expect(OK, oms_bundle_verify_key(arena, &bundle, key, &statement, &err));
    return statement;
}

/* Digests of the files' contents, as a program with the files at hand computes them. */
static enum status digest_content(void *context, const struct manifest_file *file, enum oms_hash hash, int64_t start,
                                  int64_t end, uint8_t *out, struct error *err)
{
    const char *const *contents = context;
    if (hash == OMS_BLAKE3)
        return fail(err, UNSUPPORTED, NULL, "No BLAKE3 here.");
    const char *content = contents[file->sha256[0]]; /* stands for its number here */
    size_t len = (size_t)(end == -1 ? (int64_t)strlen(content) : end) - (size_t)start;
    assert_int_equal(
        EVP_Digest(content + start, len, out, NULL, hash == OMS_SHA256 ? EVP_sha256() : EVP_blake2b512(), NULL), 1);
    return OK;
}

struct folder {
    struct manifest_file files[COUNT(tool_files) + 1];
    const char *contents[COUNT(tool_files) + 1];
    size_t count;
};

static struct folder tool_folder(void)
{
    struct folder folder = {.count = COUNT(tool_files)};
    for (size_t i = 0; i < folder.count; i++) {
        folder.contents[i] = tool_files[i].content;
        folder.files[i] =
            (struct manifest_file){str_of(tool_files[i].name), (int64_t)strlen(tool_files[i].content), {(uint8_t)i}};
    }
    return folder;
}

static enum status compare(struct arena *arena, const char *vector_name, struct folder *folder, struct buf *lines,
                           struct error *err)
{
    struct oms_statement statement = tool_statement(arena, vector_name);
    struct oms_found found = {folder->files, folder->count, digest_content, folder->contents, false};
    lines->len = 0;
    return oms_statement_compare(arena, &statement, &found, lines, err);
}

static const char *const readable[] = {"tool-sha256-files.json", "tool-sha256-shards.json", "tool-blake2-files.json",
                                       "tool-blake2-shards.json"};

static void what_the_reference_tool_signed_is_what_is_there(void **state)
{
    (void)state;
    struct error err;
    auto_buf struct buf lines = {0};
    for (size_t i = 0; i < COUNT(readable); i++) {
        auto_arena struct arena arena = {0};
        struct folder folder = tool_folder();
        expect(OK, compare(&arena, readable[i], &folder, &lines, &err));
        assert_int_equal(lines.len, 0);
    }
}

static void a_changed_file_is_named(void **state)
{
    (void)state;
    struct error err;
    auto_buf struct buf lines = {0};
    for (size_t i = 0; i < COUNT(readable); i++) {
        auto_arena struct arena arena = {0};
        struct folder folder = tool_folder();
        folder.contents[0] = "thReE\n";
        expect(UNPROCESSABLE, compare(&arena, readable[i], &folder, &lines, &err));
        assert_str(buf_view(&lines), "changed: README.md is not what was signed.\n");
        expect_message("0 missing, 0 extra, 1 changed");
        /* Only longer: with shards, the bytes behind the last one must not go unnoticed. */
        folder.contents[0] = "three\nmore";
        folder.files[0].size = 10;
        expect(UNPROCESSABLE, compare(&arena, readable[i], &folder, &lines, &err));
        assert_str(buf_view(&lines), "changed: README.md is not what was signed.\n");
    }
}

static void a_file_that_is_missing_and_one_that_is_extra_are_named(void **state)
{
    (void)state;
    struct error err;
    auto_buf struct buf lines = {0};
    for (size_t i = 0; i < COUNT(readable); i++) {
        auto_arena struct arena arena = {0};
        struct folder folder = tool_folder();
        folder.files[2].name = STR("evil\x1b[2J\n.bin"); /* instead of a.txt */
        expect(UNPROCESSABLE, compare(&arena, readable[i], &folder, &lines, &err));
        assert_str(buf_view(&lines), "missing: a.txt was signed but is not here.\n"
                                     "extra: evil?[2J?.bin is here but was not signed.\n");
        expect_message("1 missing, 1 extra, 0 changed");
    }
}

static void swapped_contents_are_seen(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    folder.contents[1] = tool_files[2].content;
    folder.contents[2] = tool_files[1].content;
    expect(UNPROCESSABLE, compare(&arena, readable[0], &folder, &lines, &err));
    assert_str(buf_view(&lines), "changed: a.txt is not what was signed.\nchanged: a/b.bin is not what was signed.\n");
}

static void extra_files_can_be_nobodys_business_and_missing_ones_cannot(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    struct oms_statement statement = tool_statement(&arena, readable[0]);
    struct oms_found found = {folder.files, ++folder.count, digest_content, folder.contents, true};
    found.count = folder.count;
    folder.files[folder.count - 1] = file_of("notes.txt", "x");
    expect(OK, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    found.extra_allowed = false;
    expect(UNPROCESSABLE, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    found.extra_allowed = true;
    found.files = folder.files + 1;
    found.count = folder.count - 1;
    expect(UNPROCESSABLE, oms_statement_compare(&arena, &statement, &found, &lines, &err));
}

static void an_empty_file_is_seen_where_whole_files_were_signed(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    folder.contents[folder.count] = "";
    folder.files[folder.count] = (struct manifest_file){STR("new"), 0, {(uint8_t)folder.count}};
    folder.count++;
    expect(OK, compare(&arena, "tool-sha256-shards.json", &folder, &lines, &err));
    expect(UNPROCESSABLE, compare(&arena, "tool-sha256-files.json", &folder, &lines, &err));
    assert_str(buf_view(&lines), "extra: new is here but was not signed.\n");
}

static void the_files_own_digests_do_for_whole_files_with_sha256_only(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct manifest_file files[COUNT(tool_files)];
    for (size_t i = 0; i < COUNT(tool_files); i++)
        files[i] = file_of(tool_files[i].name, tool_files[i].content);
    struct oms_found found = {files, COUNT(files), NULL, NULL, false};
    struct oms_statement statement = tool_statement(&arena, "tool-sha256-files.json");
    expect(OK, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    files[1].sha256[31] ^= 1;
    expect(UNPROCESSABLE, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    statement = tool_statement(&arena, "tool-blake2-files.json");
    expect(UNSUPPORTED, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    statement = tool_statement(&arena, "tool-sha256-shards.json");
    expect(UNSUPPORTED, oms_statement_compare(&arena, &statement, &found, &lines, &err));
}

static void a_digest_that_cannot_be_had_ends_the_comparison(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    expect(UNSUPPORTED, compare(&arena, "tool-blake3-files.json", &folder, &lines, &err));
    expect_message("No BLAKE3 here.");
}

static void a_model_of_one_file_bears_its_name(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct manifest_file file = file_of("single.bin", "one\n");
    struct oms_statement statement = tool_statement(&arena, "tool-single.json");
    struct oms_found found = {&file, 1, NULL, NULL, false};
    expect(OK, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    file.name = STR("other.bin");
    expect(UNPROCESSABLE, oms_statement_compare(&arena, &statement, &found, &lines, &err));
}

static void recorded_rules_and_defaults_both_count(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    static const char *const allowed[] = {"sha256-files.sig", "sha256-files.sig/x", ".git/HEAD", ".gitattributes"};
    folder.count++;
    for (size_t i = 0; i < COUNT(allowed); i++) {
        folder.files[folder.count - 1] = file_of(allowed[i], "x");
        expect(OK, compare(&arena, "tool-sha256-files.json", &folder, &lines, &err));
    }
    folder.files[folder.count - 1] = file_of("a/.gitattributes", "x");
    expect(UNPROCESSABLE, compare(&arena, "tool-sha256-files.json", &folder, &lines, &err));
}

static void the_rule_that_hid_a_signed_file_is_named(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    const struct str rule = STR("docs");
    const struct manifest_file files[] = {file_of("docs/a", "1"), file_of("b", "2")};
    struct oms_statement statement;
    struct manifest manifest = manifest_of(&arena, files, 2);
    struct oms_found found = {files + 1, 1, NULL, NULL, false};
    expect(OK, manifest_rules_make(&arena, &rule, 1, &manifest.rules, &err)); /* what a careless signer does */
    expect(OK, oms_statement_write(&arena, &manifest, STR("m"), &lines, &err));
    expect(OK, oms_statement_read(&arena, arena_copy(&arena, buf_view(&lines)), &statement, &err));
    lines.len = 0;
    expect(UNPROCESSABLE, oms_statement_compare(&arena, &statement, &found, &lines, &err));
    assert_str(buf_view(&lines),
               "missing: docs/a was signed but is not here; the rule to ignore \"docs\" may have hidden it.\n");
}

static void a_file_that_is_there_twice_is_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    auto_buf struct buf lines = {0};
    struct folder folder = tool_folder();
    folder.files[folder.count++] = folder.files[1];
    expect(INVALID, compare(&arena, "tool-sha256-files.json", &folder, &lines, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_reference_tool_signed_is_what_is_there),
        cmocka_unit_test(a_changed_file_is_named),
        cmocka_unit_test(a_file_that_is_missing_and_one_that_is_extra_are_named),
        cmocka_unit_test(swapped_contents_are_seen),
        cmocka_unit_test(extra_files_can_be_nobodys_business_and_missing_ones_cannot),
        cmocka_unit_test(an_empty_file_is_seen_where_whole_files_were_signed),
        cmocka_unit_test(the_files_own_digests_do_for_whole_files_with_sha256_only),
        cmocka_unit_test(a_digest_that_cannot_be_had_ends_the_comparison),
        cmocka_unit_test(a_model_of_one_file_bears_its_name),
        cmocka_unit_test(recorded_rules_and_defaults_both_count),
        cmocka_unit_test(the_rule_that_hid_a_signed_file_is_named),
        cmocka_unit_test(a_file_that_is_there_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
