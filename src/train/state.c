/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* What a participant keeps on its disk: a key of its own, and what it must not forget. */
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "train/internal.h"
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECORD 64
#define MEMORY_MOST ((size_t)64 << 20)
#define PEERS_MOST ((size_t)1 << 20)

enum status state_open(const struct cairn_federate *part, struct str name, struct state *out, struct error *err)
{
    const char *home = getenv("HOME"), *xdg = getenv("XDG_STATE_HOME");
    int len;
    if (part->state)
        len = snprintf(out->folder, sizeof out->folder, "%s", part->state);
    else if (xdg && *xdg)
        len = snprintf(out->folder, sizeof out->folder, "%s/cairn", xdg);
    else
        len = snprintf(out->folder, sizeof out->folder, "%s/.local/state/cairn", home && *home ? home : ".");
    if (len < 0 || (size_t)len >= sizeof out->folder || name.len >= sizeof out->name)
        return fail(err, INVALID, NULL, "The name of the state folder is too long.");
    snprintf(out->name, sizeof out->name, "%.*s", STR_ARG(name));
    out->peers = part->peers;
    return folder_make(out->folder, 0700, err);
}

static void file_of(const struct state *state, const char *what, char out[STATE_PATH_MOST])
{
    snprintf(out, STATE_PATH_MOST, "%s/%s.%s", state->folder, state->name, what);
}

/* Two programs that begin at once agree on one key: who comes second finds that of the first. */
enum status state_identity(const struct state *state, uint8_t seed[32], struct error *err)
{
    auto_buf struct buf kept = {0};
    char path[STATE_PATH_MOST], fresh[STATE_PATH_MOST + 32];
    if (state->peers)
        snprintf(path, sizeof path, "%s/identity.key", state->folder);
    else
        file_of(state, "key", path);
    if (access(path, F_OK) != 0) {
        uint8_t made[32], number[8];
        random_bytes(made, sizeof made);
        random_bytes(number, sizeof number);
        snprintf(fresh, sizeof fresh, "%s.%02x%02x%02x%02x%02x%02x%02x%02x", path, number[0], number[1], number[2],
                 number[3], number[4], number[5], number[6], number[7]);
        TRY(file_write_durable(fresh, (struct str){(char *)made, sizeof made}, 0600, err));
        OPENSSL_cleanse(made, sizeof made);
        if (link(fresh, path) != 0 && access(path, F_OK) != 0) {
            unlink(fresh);
            return fail_errno(err, path);
        }
        unlink(fresh);
        TRY(folder_sync(state->folder, err));
    }
    TRY(file_read_all(path, RECORD, &kept, err));
    if (kept.len != 32)
        return fail(err, CORRUPT, NULL, "%s does not hold a key.", path);
    memcpy(seed, kept.data, 32);
    OPENSSL_cleanse(kept.data, kept.len);
    return OK;
}

/* Records are a key and a value of 32 bytes each; keys of different kinds are kept apart by hashing. */
static void record_of(const char *what, const uint8_t *pair, uint8_t out[RECORD])
{
    auto_buf struct buf text = {0};
    buf_str(&text, str_of(what));
    buf_byte(&text, '\n');
    buf_add(&text, pair, 32);
    sha256(buf_view(&text), out);
    memcpy(out + 32, pair + 32, 32);
}

static const uint8_t *find_record(const struct buf *all, const uint8_t *key)
{
    for (size_t at = 0; at + RECORD <= all->len; at += RECORD)
        if (memcmp(all->data + at, key, 32) == 0)
            return (const uint8_t *)all->data + at;
    return NULL;
}

static enum status remember_all(int fd, const char *path, const char *what, const uint8_t *pairs, size_t count,
                                struct error *err)
{
    auto_buf struct buf all = {0};
    TRY(file_read_all(path, MEMORY_MOST, &all, err));
    all.len -= all.len % RECORD; /* what a crash has cut off was not remembered */
    size_t before = all.len;
    for (size_t i = 0; i < count; i++) {
        uint8_t record[RECORD];
        record_of(what, pairs + i * RECORD, record);
        const uint8_t *known = find_record(&all, record);
        if (known && memcmp(known, record, RECORD) != 0)
            return fail(
                err, CONFLICT, "Remembered",
                strcmp(what, "peer") == 0
                    ? "The hub shows another identity of a member than in rounds before: keys may have been swapped."
                    : "The hub asks for something else than what this member has agreed to before.");
        if (!known)
            buf_add(&all, record, sizeof record);
    }
    if (all.len == before)
        return OK;
    TRY(pwrite_full(fd, all.data + before, all.len - before, (int64_t)before, err));
    return fsync(fd) == 0 ? OK : fail_errno(err, path);
}

/* The file has an identity in hex digits at the beginning of each line, and behind a space what one likes. */
static bool is_peer(struct str lines, const uint8_t identity[32])
{
    struct str line;
    uint8_t found[32];
    while (str_cut(&lines, '\n', &line))
        if (hex_decode(str_slice(line, 0, 2 * sizeof found), found, sizeof found) && memcmp(found, identity, 32) == 0)
            return true;
    return false;
}

static enum status check_peers(const struct state *state, const uint8_t *pairs, size_t count, struct error *err)
{
    auto_buf struct buf lines = {0};
    TRY(file_read_all(state->peers, PEERS_MOST, &lines, err));
    for (size_t i = 0; i < count; i++)
        if (!is_peer(buf_view(&lines), pairs + i * RECORD + 32))
            return fail(err, FORBIDDEN, "UnknownPeer",
                        "The hub puts a member into this cohort whose key is not in %s: nothing is sent.",
                        state->peers);
    return OK;
}

enum status state_remember(void *context, const char *what, const uint8_t *pairs, size_t count, struct error *err)
{
    const struct state *state = context;
    char path[STATE_PATH_MOST];
    if (state->peers && strcmp(what, "peer") == 0)
        TRY(check_peers(state, pairs, count, err));
    file_of(state, "memory", path);
    auto_lock int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) != 0)
        return fail_errno(err, path);
    TRY(folder_sync(state->folder, err));
    return remember_all(fd, path, what, pairs, count, err);
}
