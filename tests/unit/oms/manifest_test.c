/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fixture.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct manifest_rules rules_of(struct arena *arena, const char *more)
{
    struct error err;
    struct manifest_rules rules;
    struct str path = str_of(more);
    expect(OK, manifest_rules_make(arena, &path, more ? 1 : 0, &rules, &err));
    return rules;
}

static void files_stand_in_the_order_of_their_whole_names(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct manifest_file files[] = {file_of("b", "3"), file_of("a/b.bin", "2"), file_of("\xF0\x9F\x98\x80", "5"),
                                          file_of("a.txt", "1"), file_of("\xEF\xBF\xBD", "4")};
    struct manifest manifest = manifest_of(&arena, files, COUNT(files));
    assert_int_equal(manifest.count, 5);
    assert_int_equal(manifest.bytes, 5);
    assert_str(manifest.files[0].name, "a.txt");
    assert_str(manifest.files[1].name, "a/b.bin");
    assert_str(manifest.files[2].name, "b");
    assert_str(manifest.files[3].name, "\xEF\xBF\xBD");
    assert_str(manifest.files[4].name, "\xF0\x9F\x98\x80");
}

static void the_root_is_that_of_the_specification_and_the_tools_is_given_beside(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct manifest_file files[COUNT(tool_files)];
    struct oms_bundle bundle;
    struct intoto_statement statement;
    for (size_t i = 0; i < COUNT(tool_files); i++)
        files[i] = file_of(tool_files[i].name, tool_files[i].content);
    struct manifest manifest = manifest_of(&arena, files, COUNT(files));
    expect(OK, oms_bundle_read(&arena, vector(&arena, "tool-sha256-files.json"), &bundle, &err));
    expect(OK, intoto_read(bundle.envelope.payload, &statement, &err));
    assert_true(intoto_is_about(&statement, "sha256", hex_of(&arena, manifest.tool_root)));
    assert_false(intoto_is_about(&statement, "sha256", hex_of(&arena, manifest.root)));
    json_decref(statement.root);
}

static void the_two_roots_are_one_where_the_orders_are(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct manifest_file same[] = {file_of("a/b", "1"), file_of("a/c", "2"), file_of("b", "3")};
    const struct manifest_file differ[] = {file_of("a/b", "1"), file_of("a-c", "2"), file_of("b", "3")};
    struct manifest manifest = manifest_of(&arena, same, COUNT(same));
    assert_memory_equal(manifest.root, manifest.tool_root, SHA256_SIZE);
    manifest = manifest_of(&arena, differ, COUNT(differ));
    assert_memory_not_equal(manifest.root, manifest.tool_root, SHA256_SIZE);
}

/* The files of the specification's own bundles: signme-1 and signme-2. */
static void the_root_is_that_of_a_published_bundle(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct manifest_file files[] = {file_of("signme-2", ""), file_of("signme-1", "")};
    assert_true(
        hex_decode(STR("32dcb1f8e1ae52d5963e56a6ba06ab58b424c15ed2a6b70d2feca1d089370028"), files[0].sha256, 32));
    assert_true(
        hex_decode(STR("bc9a717db6064a32cbe9eae6fc40651dd6d36ef1757183f590eff2b1765d7ebc"), files[1].sha256, 32));
    struct manifest manifest = manifest_of(&arena, files, COUNT(files));
    assert_str(hex_of(&arena, manifest.root), "92745110b1ab4368471cbe31664e10174e954b113a3df333db860317b2c6dec4");
    files[0].sha256[0] ^= 1;
    manifest = manifest_of(&arena, files, COUNT(files));
    assert_memory_not_equal(manifest.root, "\x92\x74\x51\x10", 4);
}

static void swapped_names_change_the_folders_hash_but_not_the_root(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    const struct manifest_file files[] = {file_of("a", "1"), file_of("b", "2")};
    const struct manifest_file renamed[] = {file_of("a", "1"), file_of("c", "2")};
    struct manifest one = manifest_of(&arena, files, 2), other = manifest_of(&arena, renamed, 2);
    assert_memory_equal(one.root, other.root, SHA256_SIZE);
    assert_memory_not_equal(one.dir_hash, other.dir_hash, SHA256_SIZE);
}

static void write_file(const char *folder, const char *name, const char *content)
{
    char path[4096];
    struct error err;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *strrchr(path, '/') = '\0';
    expect(OK, folder_make(path, 0700, &err));
    path[strlen(path)] = '/';
    expect(OK, file_write_durable(path, str_of(content), 0600, &err));
}

static void the_folders_hash_is_what_coreutils_compute(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    char folder[] = "/tmp/oms-manifest-XXXXXX", command[512], line[128] = "";
    struct manifest_file files[COUNT(tool_files) + 3] = {file_of("with space's", "s"), file_of("\xC3\xA9", "e"),
                                                         file_of("-dash", "-")};
    for (size_t i = 0; i < COUNT(tool_files); i++)
        files[3 + i] = file_of(tool_files[i].name, tool_files[i].content);
    assert_non_null(mkdtemp(folder));
    write_file(folder, "with space's", "s");
    write_file(folder, "\xC3\xA9", "e");
    write_file(folder, "-dash", "-");
    for (size_t i = 0; i < COUNT(tool_files); i++)
        write_file(folder, tool_files[i].name, tool_files[i].content);
    snprintf(command, sizeof command,
             "cd %s && find . -type f ! -path ./.gitignore -print0 | cut -z -c3- | LC_ALL=C sort -z |"
             " xargs -r0 sha256sum -- | sha256sum | cut -f1 -d' '; cd / && find %s -depth -delete",
             folder, folder);
    FILE *shell = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, shell));
    pclose(shell);
    struct manifest manifest = manifest_of(&arena, files, COUNT(files));
    assert_str(hex_of(&arena, manifest.dir_hash), strtok(line, "\n"));
    files[0].sha256[0] ^= 1;
    manifest = manifest_of(&arena, files, COUNT(files));
    assert_false(str_eq(hex_of(&arena, manifest.dir_hash), str_of(line)));
}

static void the_rules_hide_paths_and_what_is_below_them(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct manifest_rules rules = rules_of(&arena, "logs/old");
    static const char *const hidden[] = {".git",       ".git/config", ".gitattributes", ".github/workflows/x.yml",
                                         ".gitignore", "logs/old",    "logs/old/1",     "logs/old/2/3"};
    static const char *const kept[] = {
        "sub/.git/config", "sub/.gitignore", ".gitx",      ".gitattributes2", ".gi",        "logs",
        "logs/older",      "logs/new",       "x/logs/old", "LOGS/old",        ".Git/config"};
    for (size_t i = 0; i < COUNT(hidden); i++)
        if (!manifest_rule_for(&rules, str_of(hidden[i])))
            broken("%s is not hidden", hidden[i]);
    for (size_t i = 0; i < COUNT(kept); i++)
        if (manifest_rule_for(&rules, str_of(kept[i])))
            broken("%s is hidden", kept[i]);
    assert_str(*manifest_rule_for(&rules, STR("logs/old/1")), "logs/old");
}

static void a_rule_stands_once_and_beside_the_defaults(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct manifest_rules rules;
    const struct str more[] = {STR("model.sig"), STR(".git"), STR("model.sig")};
    expect(OK, manifest_rules_make(&arena, more, COUNT(more), &rules, &err));
    assert_int_equal(rules.count, 5);
    assert_str(rules.paths[0], ".git");
    assert_str(rules.paths[4], "model.sig");
}

static void names_that_mean_other_places_or_split_lines_are_refused(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    static const char *const bad[] = {"",       "/etc/passwd",   "a//b", "a/",   ".",       "..",    "./a",
                                      "a/../b", "a/.",           "a\nb", "a\\b", "a\x1b[m", "a\x7f", "\xC2\x9B",
                                      "\xFF",   "a/\xED\xA0\x80"};
    static const char *const good[] = {"a", "...", "..a/b.", "a b", "c:d", "*", ".hidden", "\xE2\x82\xAC"};
    struct manifest_rules rules = rules_of(&arena, NULL);
    struct manifest manifest;
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct manifest_file files[] = {file_of("fine", "1"), file_of(bad[i], "2")};
        const struct str rule = str_of(bad[i]);
        struct manifest_rules more;
        expect(UNPROCESSABLE, manifest_make(&arena, files, 2, &rules, &manifest, &err));
        for (const char *c = err.message; *c; c++)
            assert_true((unsigned char)*c >= ' ' && *c != 0x7F);
        expect(INVALID, manifest_rules_make(&arena, &rule, 1, &more, &err));
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        const struct manifest_file file = file_of(good[i], "2");
        expect(OK, manifest_make(&arena, &file, 1, &rules, &manifest, &err));
    }
}

static void a_model_has_files_each_once(void **state)
{
    (void)state;
    struct error err;
    auto_arena struct arena arena = {0};
    struct manifest_rules rules = rules_of(&arena, NULL);
    struct manifest manifest;
    const struct manifest_file twice[] = {file_of("a", "1"), file_of("b", "2"), file_of("a", "1")};
    const struct manifest_file hidden[] = {file_of(".gitattributes", "1"), file_of(".git/\xFF", "2")};
    expect(INVALID, manifest_make(&arena, twice, 3, &rules, &manifest, &err));
    expect(OK, manifest_make(&arena, twice, 2, &rules, &manifest, &err));
    expect(UNPROCESSABLE, manifest_make(&arena, NULL, 0, &rules, &manifest, &err));
    expect(UNPROCESSABLE, manifest_make(&arena, hidden, 2, &rules, &manifest, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_stand_in_the_order_of_their_whole_names),
        cmocka_unit_test(the_root_is_that_of_the_specification_and_the_tools_is_given_beside),
        cmocka_unit_test(the_two_roots_are_one_where_the_orders_are),
        cmocka_unit_test(the_root_is_that_of_a_published_bundle),
        cmocka_unit_test(swapped_names_change_the_folders_hash_but_not_the_root),
        cmocka_unit_test(the_folders_hash_is_what_coreutils_compute),
        cmocka_unit_test(the_rules_hide_paths_and_what_is_below_them),
        cmocka_unit_test(a_rule_stands_once_and_beside_the_defaults),
        cmocka_unit_test(names_that_mean_other_places_or_split_lines_are_refused),
        cmocka_unit_test(a_model_has_files_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
