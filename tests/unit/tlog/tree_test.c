/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tlog/tree.h"

#include "fixture.h"
#include "merkle_vectors.h"

#define SIZE_MOST 70

static const struct {
    const char *entry, *root; /* the root once the entry is in */
} grown[] = {
    {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void assert_begins(const struct tlog_hash *hash, const char *hex)
{
    auto_arena struct arena arena = {0};
    assert_str(str_slice(hex_encode(&arena, hash->bytes, sizeof hash->bytes), 0, strlen(hex)), str_of(hex));
}

static struct forest *grown_forest(void)
{
    auto_arena struct arena arena = {0};
    struct forest *forest = forest_of(0);
    for (size_t i = 0; i < COUNT(grown); i++)
        forest_add(forest, tlog_leaf_hash(from_hex(&arena, grown[i].entry)));
    return forest;
}

static struct tlog_hash root_at(struct forest *forest, uint64_t size)
{
    struct tlog_frontier frontier;
    struct tlog_source source = forest_source(forest);
    assert_int_equal(tlog_frontier_read(&source, size, &frontier, NULL), OK);
    return tlog_root(&frontier);
}

static void a_growing_tree_has_the_published_roots(void **state)
{
    (void)state;
    auto_arena struct arena arena = {0};
    struct tlog_frontier frontier = {0};
    struct tlog_hash root = tlog_root(&frontier);
    assert_begins(&root, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < COUNT(grown); i++) {
        struct tlog_hash leaf = tlog_leaf_hash(from_hex(&arena, grown[i].entry));
        tlog_append(&frontier, &leaf, NULL);
        root = tlog_root(&frontier);
        assert_begins(&root, grown[i].root);
    }
}

static void an_entry_that_looks_like_a_node_is_not_one(void **state)
{
    (void)state;
    auto_buf struct buf entry = {0};
    struct tlog_hash left = tlog_leaf_hash(STR("a")), right = tlog_leaf_hash(STR("b"));
    buf_add(&entry, left.bytes, sizeof left.bytes);
    buf_add(&entry, right.bytes, sizeof right.bytes);
    struct tlog_hash leaf = tlog_leaf_hash(buf_view(&entry)), node = tlog_node_hash(&left, &right);
    assert_false(tlog_hash_eq(&leaf, &node));
}

static void a_hash_is_read_from_its_one_text_only(void **state)
{
    (void)state;
    auto_buf struct buf text = {0};
    struct tlog_hash hash = tlog_root(&(struct tlog_frontier){0}), back;
    tlog_hash_write(&text, &hash);
    assert_str(buf_view(&text), STR("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="));
    assert_true(tlog_hash_parse(buf_view(&text), &back) && tlog_hash_eq(&hash, &back));
    static const char *const bad[] = {
        "",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",  /* no padding */
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=", /* a bit that stands for nothing */
        "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", /* the other alphabet */
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFVV", /* 33 bytes */
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuA==", /* 31 bytes */
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= ",
        "47DEQpj8HBSa+/TImW+5\nCeuQeRkm5NMpJWZG3hSuFU=",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(tlog_hash_parse(str_of(bad[i]), &back));
}

/* One of the published cases; false when its leaf or a root is no hash. What is none in the path becomes zeros. */
static bool case_read(const struct merkle_case *given, struct tlog_hash *x, struct tlog_hash *y, struct tlog_path *path)
{
    bool good = tlog_hash_parse(str_of(hashes[given->x]), x) && tlog_hash_parse(str_of(hashes[given->y]), y);
    path->count = given->count;
    for (unsigned i = 0; i < given->count; i++)
        if (!tlog_hash_parse(str_of(hashes[given->path[i]]), &path->hashes[i]))
            path->hashes[i] = (struct tlog_hash){{0}};
    return good;
}

static void published_inclusion_proofs_get_their_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(inclusion_cases); i++) {
        const struct merkle_case *given = &inclusion_cases[i];
        struct tlog_path path;
        struct tlog_hash leaf, root;
        bool holds = case_read(given, &leaf, &root, &path) && tlog_includes(given->a, given->b, &leaf, &root, &path);
        if (holds != given->holds)
            fail_msg("%s", given->name);
    }
}

static void published_consistency_proofs_get_their_verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(consistency_cases); i++) {
        const struct merkle_case *given = &consistency_cases[i];
        struct tlog_path path;
        struct tlog_hash old_root, new_root;
        bool holds = case_read(given, &old_root, &new_root, &path) &&
                     tlog_extends(given->a, &old_root, given->b, &new_root, &path);
        if (holds != given->holds)
            fail_msg("%s", given->name);
    }
}

static void the_proofs_of_the_specification_are_made(void **state)
{
    (void)state;
    struct forest *forest = grown_forest();
    struct tlog_source source = forest_source(forest);
    struct tlog_path path;
    assert_int_equal(tlog_prove_inclusion(&source, 5, 7, &path, NULL), OK);
    assert_int_equal(path.count, 3);
    assert_begins(&path.hashes[0], "bc1a0643b12e4d2d");
    assert_begins(&path.hashes[1], "b08693ec2e721597");
    assert_begins(&path.hashes[2], "d37ee418976dd957");
    assert_int_equal(tlog_prove_consistency(&source, 3, 7, &path, NULL), OK);
    assert_int_equal(path.count, 4);
    assert_begins(&path.hashes[0], "0298d122906dcfc1");
    assert_begins(&path.hashes[1], "07506a85fd9dd2f1");
    assert_begins(&path.hashes[2], "fac54203e7cc696c");
    assert_begins(&path.hashes[3], "837dbb152e9b0790");
    assert_int_equal(tlog_prove_consistency(&source, 4, 8, &path, NULL), OK);
    assert_int_equal(path.count, 1);
    assert_begins(&path.hashes[0], "6b47aaf29ee3c2af");
    free(forest);
}

/* Every change of one thing must be noticed: a bit of any hash, a hash too few, one too many. */
static void assert_only_this_path_includes(uint64_t index, uint64_t size, struct tlog_hash leaf, struct tlog_hash root,
                                           struct tlog_path path)
{
    assert_true(tlog_includes(index, size, &leaf, &root, &path));
    for (size_t i = 0; i < path.count; i++) {
        path.hashes[i].bytes[i % 32] ^= 1;
        assert_false(tlog_includes(index, size, &leaf, &root, &path));
        path.hashes[i].bytes[i % 32] ^= 1;
    }
    path.hashes[path.count++] = leaf;
    assert_false(tlog_includes(index, size, &leaf, &root, &path));
    path.count--;
    if (path.count > 0) {
        path.count--;
        assert_false(tlog_includes(index, size, &leaf, &root, &path));
        path.count++;
    }
    leaf.bytes[31] ^= 1;
    assert_false(tlog_includes(index, size, &leaf, &root, &path));
}

static void each_leaf_is_proved_in_each_size(void **state)
{
    (void)state;
    struct forest *forest = forest_of(SIZE_MOST);
    struct tlog_source source = forest_source(forest);
    for (uint64_t size = 1; size <= SIZE_MOST; size++)
        for (uint64_t index = 0; index < size; index++) {
            struct tlog_path path;
            assert_int_equal(tlog_prove_inclusion(&source, index, size, &path, NULL), OK);
            struct tlog_hash leaf = forest->nodes[0][index], root = root_at(forest, size);
            assert_only_this_path_includes(index, size, leaf, root, path);
            for (uint64_t other = 0; other <= size; other++)
                assert_int_equal(tlog_includes(other, size, &leaf, &root, &path), other == index);
        }
    free(forest);
}

static void assert_only_this_path_extends(uint64_t old_size, uint64_t new_size, struct tlog_hash old_root,
                                          struct tlog_hash new_root, struct tlog_path path)
{
    assert_true(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
    for (size_t i = 0; i < path.count; i++) {
        path.hashes[i].bytes[i % 32] ^= 1;
        assert_false(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
        path.hashes[i].bytes[i % 32] ^= 1;
    }
    path.hashes[path.count++] = old_root;
    assert_false(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
    path.count--;
    if (path.count > 0) {
        path.count--;
        assert_false(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
        path.count++;
        assert_false(tlog_extends(new_size, &new_root, old_size, &old_root, &path));
    }
    old_root.bytes[0] ^= 1;
    assert_false(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
    old_root.bytes[0] ^= 1;
    new_root.bytes[0] ^= 1;
    assert_false(tlog_extends(old_size, &old_root, new_size, &new_root, &path));
}

static void each_size_is_proved_to_extend_the_smaller_ones(void **state)
{
    (void)state;
    struct forest *forest = forest_of(SIZE_MOST);
    struct tlog_source source = forest_source(forest);
    for (uint64_t new_size = 1; new_size <= SIZE_MOST; new_size++)
        for (uint64_t old_size = 1; old_size <= new_size; old_size++) {
            struct tlog_path path;
            assert_int_equal(tlog_prove_consistency(&source, old_size, new_size, &path, NULL), OK);
            assert_int_equal(path.count == 0, old_size == new_size);
            assert_only_this_path_extends(old_size, new_size, root_at(forest, old_size), root_at(forest, new_size),
                                          path);
        }
    free(forest);
}

static void nothing_is_proved_of_an_empty_tree_but_that_it_is_empty(void **state)
{
    (void)state;
    struct forest *forest = forest_of(5);
    struct tlog_source source = forest_source(forest);
    struct tlog_path path;
    struct tlog_hash empty = root_at(forest, 0), root = root_at(forest, 5);
    assert_int_equal(tlog_prove_consistency(&source, 0, 5, &path, NULL), OK);
    assert_int_equal(path.count, 0);
    assert_false(tlog_extends(0, &empty, 5, &root, &path));
    assert_true(tlog_extends(0, &empty, 0, &empty, &path));
    assert_false(tlog_extends(0, &root, 0, &root, &path));
    free(forest);
}

static void what_cannot_be_is_not_proved(void **state)
{
    (void)state;
    struct forest *forest = forest_of(5);
    struct tlog_source source = forest_source(forest);
    struct tlog_path path;
    struct error err;
    assert_int_equal(tlog_prove_inclusion(&source, 5, 5, &path, &err), INVALID);
    assert_int_equal(tlog_prove_inclusion(&source, 0, 0, &path, &err), INVALID);
    assert_int_equal(tlog_prove_inclusion(&source, 0, UINT64_C(1) << 63, &path, &err), INVALID);
    assert_int_equal(tlog_prove_consistency(&source, 5, 4, &path, &err), INVALID);
    assert_int_equal(tlog_prove_consistency(&source, 5, UINT64_C(1) << 63, &path, &err), INVALID);
    assert_int_equal(tlog_prove_inclusion(&source, 0, 6, &path, &err), INTERNAL); /* the source's own error */
    assert_string_equal(err.message, "No complete subtree is there.");
    free(forest);
}

static void a_frontier_that_was_read_goes_on_like_the_one_that_grew(void **state)
{
    (void)state;
    struct forest *forest = forest_of(SIZE_MOST);
    struct tlog_source source = forest_source(forest);
    for (uint64_t size = 0; size < SIZE_MOST; size++) {
        struct tlog_frontier frontier;
        assert_int_equal(tlog_frontier_read(&source, size, &frontier, NULL), OK);
        for (uint64_t i = size; i < SIZE_MOST; i++)
            tlog_append(&frontier, &forest->nodes[0][i], NULL);
        struct tlog_hash root = tlog_root(&frontier), expected = tlog_root(&forest->frontier);
        assert_true(tlog_hash_eq(&root, &expected));
    }
    free(forest);
}

/* When all leaves are alike, so are the nodes of a level: a tree of any size fits in 63 hashes. */
struct uniform {
    struct tlog_hash levels[TLOG_LEVELS];
};

static enum status uniform_node(void *context, unsigned level, uint64_t index, struct tlog_hash *out, struct error *err)
{
    (void)index;
    (void)err;
    *out = ((struct uniform *)context)->levels[level];
    return OK;
}

static void the_largest_trees_are_proved_too(void **state)
{
    (void)state;
    struct uniform uniform;
    struct tlog_source source = {uniform_node, &uniform};
    uniform.levels[0] = tlog_leaf_hash(STR("alike"));
    for (unsigned i = 1; i < TLOG_LEVELS; i++)
        uniform.levels[i] = tlog_node_hash(&uniform.levels[i - 1], &uniform.levels[i - 1]);
    static const uint64_t sizes[] = {1, 255, 256, UINT64_C(1) << 40, (UINT64_C(1) << 62) + 1, INT64_MAX - 1, INT64_MAX};
    struct tlog_hash roots[COUNT(sizes)];
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct tlog_frontier frontier;
        assert_int_equal(tlog_frontier_read(&source, sizes[i], &frontier, NULL), OK);
        roots[i] = tlog_root(&frontier);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct tlog_path path;
        assert_int_equal(tlog_prove_inclusion(&source, sizes[i] / 3, sizes[i], &path, NULL), OK);
        assert_only_this_path_includes(sizes[i] / 3, sizes[i], uniform.levels[0], roots[i], path);
        for (size_t j = 0; j <= i; j++) {
            assert_int_equal(tlog_prove_consistency(&source, sizes[j], sizes[i], &path, NULL), OK);
            assert_true(tlog_extends(sizes[j], &roots[j], sizes[i], &roots[i], &path));
            assert_false(tlog_extends(sizes[j], &uniform.levels[5], sizes[i], &roots[i], &path));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_growing_tree_has_the_published_roots),
        cmocka_unit_test(an_entry_that_looks_like_a_node_is_not_one),
        cmocka_unit_test(a_hash_is_read_from_its_one_text_only),
        cmocka_unit_test(published_inclusion_proofs_get_their_verdicts),
        cmocka_unit_test(published_consistency_proofs_get_their_verdicts),
        cmocka_unit_test(the_proofs_of_the_specification_are_made),
        cmocka_unit_test(each_leaf_is_proved_in_each_size),
        cmocka_unit_test(each_size_is_proved_to_extend_the_smaller_ones),
        cmocka_unit_test(nothing_is_proved_of_an_empty_tree_but_that_it_is_empty),
        cmocka_unit_test(what_cannot_be_is_not_proved),
        cmocka_unit_test(a_frontier_that_was_read_goes_on_like_the_one_that_grew),
        cmocka_unit_test(the_largest_trees_are_proved_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
