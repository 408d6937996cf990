/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LEDGER_HOUSE_H
#define CAIRN_LEDGER_HOUSE_H

#include "base/file.h"
#include "ledger/ledger.h"
#include "ledger/signer.h"
#include "tlog/checkpoint.h"
#include "tlog/tile.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A log in a folder of its own, and small words for what the tests do with it. Its entries follow from their indices.
 */

#define ORIGIN STR("hub.example.org/log/1")
#define ENTRY_MOST 20300

struct house {
    char dir[128], folder[160];
    struct ledger *ledger;
    struct error err;
};

/* The signer is the test program itself; its main() hands over. */
#define HOUSE_MAIN(tests)                                                                                              \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        if (argc > 1 && strcmp(argv[1], "signer") == 0)                                                                \
            return signer_main(argc - 1, argv + 1);                                                                    \
        return cmocka_run_group_tests(tests, NULL, NULL);                                                              \
    }

__attribute__((unused)) static enum status house_try_open(struct house *house)
{
    house->ledger = NULL;
    return ledger_open(house->folder, ORIGIN, "/proc/self/exe", &house->ledger, &house->err);
}

__attribute__((unused)) static void house_open(struct house *house)
{
    if (house_try_open(house) != OK)
        fail_msg("%s", house->err.message);
}

__attribute__((unused)) static void house_close(struct house *house)
{
    ledger_close(house->ledger);
    house->ledger = NULL;
}

__attribute__((unused)) static int house_make(void **state)
{
    struct house *house = calloc(1, sizeof *house);
    const char *base = getenv("TMPDIR");
    snprintf(house->dir, sizeof house->dir, "%s/cairn-ledger-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(house->dir))
        return -1;
    snprintf(house->folder, sizeof house->folder, "%s/log", house->dir);
    *state = house;
    return 0;
}

static int remove_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found, (void)kind, (void)where;
    return remove(path);
}

__attribute__((unused)) static void remove_tree(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

__attribute__((unused)) static int house_remove(void **state)
{
    struct house *house = *state;
    ledger_close(house->ledger);
    remove_tree(house->dir);
    free(house);
    return 0;
}

__attribute__((unused)) static struct str entry_of(uint64_t index, char room[ENTRY_MOST])
{
    size_t len = index * 7919 % 300 + (index % 997 == 996 ? 20000 : 0);
    memset(room, (int)('a' + index % 26), len);
    snprintf(room, ENTRY_MOST, "%llu", (unsigned long long)index);
    return (struct str){room, len};
}

/* Appends the count entries that come next. */
__attribute__((unused)) static enum status house_try_append(struct house *house, size_t count)
{
    struct ledger_state before;
    struct str *entries = calloc(count, sizeof *entries);
    char(*rooms)[ENTRY_MOST] = malloc(count * sizeof *rooms);
    uint64_t first;
    ledger_state(house->ledger, &before);
    for (size_t i = 0; i < count; i++)
        entries[i] = entry_of(before.size + i, rooms[i]);
    enum status status = ledger_append(house->ledger, entries, count, &first, &house->err);
    if (status == OK)
        assert_int_equal(first, before.size);
    free(entries);
    free(rooms);
    return status;
}

__attribute__((unused)) static void house_append(struct house *house, size_t count)
{
    if (house_try_append(house, count) != OK)
        fail_msg("%s", house->err.message);
}

__attribute__((unused)) static struct ledger_state house_state(struct house *house)
{
    struct ledger_state state;
    ledger_state(house->ledger, &state);
    return state;
}

__attribute__((unused)) static void assert_entry(struct ledger *ledger, uint64_t index)
{
    auto_buf struct buf entry = {0};
    char room[ENTRY_MOST];
    struct error err;
    if (ledger_entry(ledger, index, &entry, &err) != OK)
        fail_msg("entry %llu: %s", (unsigned long long)index, err.message);
    if (!str_eq(buf_view(&entry), entry_of(index, room)))
        fail_msg("entry %llu is another", (unsigned long long)index);
}

static struct tlog_path path_of(struct str hashes)
{
    struct tlog_path path = {.count = hashes.len / SHA256_SIZE};
    assert_true(hashes.len % SHA256_SIZE == 0 && path.count <= TLOG_PATH_MOST);
    if (hashes.len)
        memcpy(path.hashes, hashes.data, hashes.len);
    return path;
}

__attribute__((unused)) static void assert_included(struct ledger *ledger, uint64_t index,
                                                    const struct ledger_state *state)
{
    auto_buf struct buf proof = {0};
    char room[ENTRY_MOST];
    struct tlog_hash leaf = tlog_leaf_hash(entry_of(index, room)), root;
    struct error err;
    memcpy(root.bytes, state->root, SHA256_SIZE);
    assert_int_equal(ledger_inclusion(ledger, index, state->size, &proof, &err), OK);
    struct tlog_path path = path_of(buf_view(&proof));
    assert_true(tlog_includes(index, state->size, &leaf, &root, &path));
    assert_false(tlog_includes(index ^ 1, state->size, &leaf, &root, &path));
}

__attribute__((unused)) static void assert_extends(struct ledger *ledger, const struct ledger_state *old,
                                                   const struct ledger_state *new)
{
    auto_buf struct buf proof = {0};
    struct tlog_hash old_root, new_root;
    struct error err;
    memcpy(old_root.bytes, old->root, SHA256_SIZE);
    memcpy(new_root.bytes, new->root, SHA256_SIZE);
    if (ledger_consistency(ledger, old->size, new->size, &proof, &err) != OK)
        fail_msg("%s", err.message);
    struct tlog_path path = path_of(buf_view(&proof));
    if (old->size == 0)
        assert_int_equal(path.count, 0);
    else
        assert_true(tlog_extends(old->size, &old_root, new->size, &new_root, &path));
}

static void keep_finding(void *context, const char *finding)
{
    buf_printf(context, "%s\n", finding);
}

/* What ledger_check() finds, a line each. */
__attribute__((unused)) static int64_t findings_of(struct ledger *ledger, struct buf *out)
{
    struct error err;
    struct findings findings = {keep_finding, out};
    if (ledger_check(ledger, &findings, &err) != OK)
        fail_msg("%s", err.message);
    return findings.count;
}

__attribute__((unused)) static void assert_no_findings(struct ledger *ledger)
{
    auto_buf struct buf found = {0};
    if (findings_of(ledger, &found) != 0)
        fail_msg("%.*s", STR_ARG(buf_view(&found)));
}

__attribute__((unused)) static void house_path(const struct house *house, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", house->folder, name);
}

__attribute__((unused)) static void read_file(const struct house *house, const char *name, struct buf *out)
{
    char path[256];
    house_path(house, name, path);
    assert_int_equal(file_read_all(path, 1 << 28, out, NULL), OK);
}

__attribute__((unused)) static void write_file(const struct house *house, const char *name, struct str content)
{
    char path[256];
    house_path(house, name, path);
    assert_int_equal(file_write_durable(path, content, 0600, NULL), OK);
}

__attribute__((unused)) static void remove_file(const struct house *house, const char *name)
{
    char path[256];
    house_path(house, name, path);
    assert_int_equal(unlink(path), 0);
}

#endif
