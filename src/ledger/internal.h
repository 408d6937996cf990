/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_LEDGER_INTERNAL_H
#define CAIRN_LEDGER_INTERNAL_H

#include "ledger/ledger.h"
#include "tlog/checkpoint.h"
#include "tlog/tile.h"

#include <limits.h>
#include <pthread.h>
#include <sys/types.h>

#define LEDGER_MAGIC 0x1ed6e4a1u
#define LEVEL_FILES (64 / TILE_HEIGHT)
#define SMALL_FILE_MOST 65536 /* bytes of a checkpoint, key or other text file */

/* The signer: its messages (see signer.h) and the side that asks. */
#define SIGNER_OPEN 'O'
#define SIGNER_SIGN 'S'
#define SIGNER_DONE 'Y'
#define SIGNER_REFUSED 'N'
#define SIGNER_PACKET_MOST 8192

struct signing {
    int socket; /* -1 when there is no signer */
    pid_t pid;
};

/* A tree that was signed. */
struct signed_tree {
    uint64_t size;
    struct tlog_hash root;
};

enum status signing_start(struct signing *signing, const char *program, const char *folder, struct error *err);
enum status signing_open(struct signing *signing, struct str origin, struct signed_tree *last, struct buf *vkey,
                         struct error *err);
enum status signing_sign(struct signing *signing, struct str text, const struct tlog_path *proof, struct buf *line,
                         struct error *err);
void signing_stop(struct signing *signing);

/* The signer's record on disk. The whole process must end after a failure of record_store(). */
struct record {
    int fd;
    uint64_t sequence; /* of the newest slot */
    uint8_t key[SHA256_SIZE];
    struct signed_tree last;
};

/* Opens the record and waits until no other process has it. *blank when it holds nothing yet. */
enum status record_open(const char *folder, struct record *out, bool *blank, struct error *err);
/* Either begins a new record, of the empty tree, or reads it; key is the digest of the key's public line. */
enum status record_begin(struct record *record, const uint8_t key[SHA256_SIZE], struct error *err);
enum status record_read(struct record *record, const uint8_t key[SHA256_SIZE], struct error *err);
enum status record_store(struct record *record, const struct signed_tree *tree, struct error *err);
/* Reads it beside the signer: the bytes are appended to out, and *last is what they say. */
enum status record_peek(const char *folder, struct buf *out, struct signed_tree *last, struct error *err);

/*
 * Leaves on their way into the level files, at most those below one tile. The complete nodes of levels 0 to TILE_HEIGHT
 * stand in rows, as in a level file; above there is one of each level at most.
 */
struct growth {
    struct tlog_frontier frontier;
    uint64_t from;  /* the leaves before it have been given out */
    uint64_t bytes; /* where the next entry goes in the entries file */
    struct tlog_hash rows[2 * TILE_WIDTH], high[TLOG_LEVELS];
};

/* Takes nodes (level, first) to (level, first + count - 1), which lie side by side in one tile. */
typedef enum status growth_taker(void *context, unsigned level, uint64_t first, const struct tlog_hash *nodes,
                                 size_t count, struct error *err);
void growth_start(struct growth *growth, const struct tlog_frontier *frontier, uint64_t bytes);
void growth_add(struct growth *growth, struct str entry);
bool growth_full(const struct growth *growth); /* then it must be given out before the next growth_add() */
enum status growth_give(struct growth *growth, growth_taker *take, void *context, struct error *err);

/* Where node (level, index) is: byte offset in the file of that level of tiles (level / TILE_HEIGHT). */
int64_t node_offset(unsigned level, uint64_t index);

/* What readers see. */
struct published {
    uint64_t size, bytes; /* leaves, and how far they reach in the entries file */
    struct tlog_hash root;
    struct buf note;
};

struct ledger {
    unsigned magic;
    bool appends; /* opened by ledger_open() */
    bool broken;  /* a sync or the signer failed: what is on disk is only known after opening anew */
    char folder[PATH_MAX / 2];
    int folder_fd, entries, bundles, levels[LEVEL_FILES];
    struct buf vkey;
    struct arena arena; /* of the verifier's name */
    struct note_verifier verifier;
    /* Of the thread that appends: */
    struct signing signing;
    struct growth growth;
    uint64_t synced;      /* the levels and bundles of that many leaves are durable; a multiple of TILE_WIDTH */
    pthread_mutex_t lock; /* for published; held only for the time of a copy */
    struct published published;
};

void ledger_assert(const struct ledger *ledger);
void ledger_path(const struct ledger *ledger, const char *name, char out[PATH_MAX]);
enum status ledger_open_file(struct ledger *ledger, const char *name, int flags, int *fd, struct error *err);
enum status ledger_open_level(struct ledger *ledger, unsigned level, struct error *err);
/* NOT_FOUND when there is none or an empty one, as a power failure may leave it. */
enum status ledger_read_checkpoint(struct ledger *ledger, struct arena *arena, struct str *bytes,
                                   struct checkpoint *out, struct error *err);
struct tlog_source ledger_source(struct ledger *ledger);
enum status bundle_start(struct ledger *ledger, uint64_t number, uint64_t *out, struct error *err);

/* Brings all files up to what the signer signed last, and publishes it. */
enum status ledger_recover(struct ledger *ledger, const struct signed_tree *last, struct error *err);

/* Gives what has grown out to the level and bundle files. */
enum status ledger_store_growth(struct ledger *ledger, struct error *err);
/* Has the tree as it has grown signed and publishes it. */
enum status ledger_sign(struct ledger *ledger, struct error *err);

/* Syncs levels and bundles when many leaves have come since the last time. After an error they cannot be trusted. */
enum status ledger_sync_if_due(struct ledger *ledger, struct error *err);

/* Reads entries from the front to the back. */
struct entry_reader {
    int fd;
    uint64_t offset; /* of the next entry */
    struct buf window;
    size_t at;
};
#define auto_entries __attribute__((cleanup(entries_end)))
/* *entry lasts until the next call. CORRUPT when the file ends before the entry does. */
enum status entries_next(struct entry_reader *reader, struct str *entry, struct error *err);
void entries_end(struct entry_reader *reader);

#endif
