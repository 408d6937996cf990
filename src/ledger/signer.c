/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ledger/signer.h"
#include "base/file.h"
#include "ledger/internal.h"

#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct signer {
    const char *folder;
    bool opened;
    struct arena arena; /* of the key's name */
    struct note_signer key;
    struct record record;
};

static enum status make_key(struct signer *signer, const char *path, struct str origin, struct error *err)
{
    uint8_t seed[NOTE_SEED_SIZE];
    auto_buf struct buf text = {0};
    random_bytes(seed, sizeof seed);
    enum status status = note_signer_make(&signer->arena, NOTE_ED25519, origin, seed, &signer->key, err);
    OPENSSL_cleanse(seed, sizeof seed);
    TRY(status);
    note_signer_write(&text, &signer->key);
    buf_byte(&text, '\n');
    status = file_write_durable(path, buf_view(&text), 0600, err);
    OPENSSL_cleanse(text.data, text.len);
    return status;
}

static enum status load_key(struct signer *signer, struct str origin, bool is_new, struct error *err)
{
    char path[PATH_MAX];
    auto_buf struct buf text = {0};
    snprintf(path, sizeof path, "%s/key", signer->folder);
    enum status status = file_read_all(path, SMALL_FILE_MOST, &text, err);
    if (status == NOT_FOUND && is_new)
        return make_key(signer, path, origin, err);
    if (status == NOT_FOUND)
        return fail(
            err, CORRUPT, NULL,
            "The log's private key %s is gone. Restore it from the backup of the keys. If there is none, the log "
            "has ended, as it cannot go on with another key: begin a new one with cairn admin log begin-anew.",
            path);
    TRY(status);
    status = note_signer_parse(&signer->arena, str_trim(buf_view(&text)), &signer->key, err);
    OPENSSL_cleanse(text.data, text.len);
    TRY(status);
    if (signer->key.verifier.kind != NOTE_ED25519)
        return fail(err, INVALID, NULL, "The key %s is one for witnesses (kind 4); a log's is of kind 1.", path);
    if (!str_eq(signer->key.verifier.name, origin))
        return fail(err, CONFLICT, NULL,
                    "The folder %s has the log %.*s, not %.*s. A log keeps its name for all its life.", signer->folder,
                    STR_ARG(signer->key.verifier.name), STR_ARG(origin));
    return OK;
}

static bool has_entries(const struct signer *signer)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/entries", signer->folder);
    return access(path, F_OK) == 0 || errno != ENOENT;
}

/*
 * Key and record are only made where there is no log yet. Otherwise losing the record would be a way to have a second
 * tree of a size signed.
 */
static enum status open_log(struct signer *signer, struct str origin, struct buf *answer, struct error *err)
{
    auto_buf struct buf vkey = {0};
    uint8_t digest[SHA256_SIZE];
    bool blank;
    TRY(record_open(signer->folder, &signer->record, &blank, err));
    TRY(load_key(signer, origin, blank && !has_entries(signer), err));
    note_verifier_write(&vkey, &signer->key.verifier);
    sha256(buf_view(&vkey), digest);
    if (blank && has_entries(signer))
        return fail(err, CORRUPT, NULL,
                    "The signer's record %s/signer is gone, so what was signed last is not known and signing "
                    "on could fork the log. Restore it as it was last, or begin a new log with cairn admin log "
                    "begin-anew.",
                    signer->folder);
    TRY(blank ? record_begin(&signer->record, digest, err) : record_read(&signer->record, digest, err));
    TRY(folder_sync(signer->folder, err));
    uint64_t size = htobe64(signer->record.last.size);
    buf_add(answer, &size, sizeof size);
    buf_add(answer, signer->record.last.root.bytes, SHA256_SIZE);
    buf_str(answer, buf_view(&vkey));
    signer->opened = true;
    return OK;
}

static bool read_proof(struct str *message, struct tlog_path *proof)
{
    size_t count = message->len ? (unsigned char)message->data[0] : SIZE_MAX;
    if (count > TLOG_PATH_MOST || message->len < 1 + count * SHA256_SIZE)
        return false;
    proof->count = count;
    memcpy(proof->hashes, message->data + 1, count * SHA256_SIZE);
    *message = str_from(*message, 1 + count * SHA256_SIZE);
    return true;
}

/* Everything continues the empty tree, and nothing could be proved of it. */
static bool continues(const struct signed_tree *last, const struct checkpoint *next, const struct tlog_path *proof)
{
    if (last->size == 0 && next->size > 0)
        return proof->count == 0;
    return tlog_extends(last->size, &last->root, next->size, &next->root, proof);
}

static enum status sign(struct signer *signer, struct str message, struct buf *answer, struct error *err)
{
    struct tlog_path proof;
    struct checkpoint next;
    const struct signed_tree *last = &signer->record.last;
    if (!signer->opened || !read_proof(&message, &proof))
        return fail(err, INVALID, NULL, "The signer was asked for something that is not a checkpoint.");
    TRY(checkpoint_parse(message, &next, err));
    if (!str_eq(next.origin, signer->key.verifier.name) || next.extensions.len)
        return fail(err, INVALID, NULL, "The signer signs only plain checkpoints of %.*s.",
                    STR_ARG(signer->key.verifier.name));
    if (!continues(last, &next, &proof))
        return fail(err, CORRUPT, NULL,
                    "The signer refuses a tree of %llu entries: it is not shown to continue the tree of %llu "
                    "that was signed last. The log was changed, or an old copy of it restored.",
                    (unsigned long long)next.size, (unsigned long long)last->size);
    if (next.size > last->size) {
        struct signed_tree tree = {next.size, next.root};
        TRY(record_store(&signer->record, &tree, err));
    }
    return note_sign(message, &signer->key, answer, err);
}

static enum status answer_one(struct signer *signer, struct str packet, struct buf *answer, struct error *err)
{
    char kind = packet.data[0];
    buf_byte(answer, SIGNER_DONE);
    if (kind == SIGNER_OPEN && !signer->opened)
        return open_log(signer, str_from(packet, 1), answer, err);
    if (kind == SIGNER_SIGN)
        return sign(signer, str_from(packet, 1), answer, err);
    return fail(err, INVALID, NULL, "The signer does not know this request.");
}

/* It answers one request after the other until the socket is closed or something is refused. */
static int serve(struct signer *signer)
{
    char packet[SIGNER_PACKET_MOST];
    for (;;) {
        auto_buf struct buf answer = {0};
        struct error err = {0};
        ssize_t got = recv(STDIN_FILENO, packet, sizeof packet, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0;
        enum status status = answer_one(signer, (struct str){packet, (size_t)got}, &answer, &err);
        if (status != OK) {
            answer.len = 0;
            buf_byte(&answer, SIGNER_REFUSED);
            buf_byte(&answer, (char)status);
            buf_str(&answer, str_of(err.message));
        }
        if (send(STDIN_FILENO, answer.data, answer.len, MSG_NOSIGNAL) < 0 || status != OK)
            return 1;
    }
}

/* Nothing new can be run or traced; a dump of its memory would show the key. */
static void drop_rights(void)
{
    struct rlimit none = {0, 0};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_NPROC, &none);
}

int signer_main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("cairn: \"signer\" is started by the hub itself\n", stderr);
        return 2;
    }
    /* A hub that is told to end still finishes what it has begun, and then closes the socket. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    drop_rights();
    struct signer signer = {.folder = argv[1], .record.fd = -1};
    int exit_status = serve(&signer);
    note_signer_clear(&signer.key);
    /* Not exit(): what others registered to run at the end may need the rights that were dropped. */
    _exit(exit_status);
}
