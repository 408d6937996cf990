/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Epochs: at each start, and once a day, the log says which program goes on with it and after which checkpoint. What stands
 * behind an epoch in the log is younger than that checkpoint, so nothing can be dated back before it (provenance 0, 3.2).
 */
#include "base/text.h"
#include "base/time.h"
#include "record/internal.h"
#include <fcntl.h>
#include <unistd.h>

#define DAY_US (86400 * SECOND_US)

/* Of the program's own file, as it is on the disk. */
enum status record_program_digest(uint8_t out[SHA256_SIZE], struct error *err)
{
    char block[64 << 10];
    ssize_t got;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_errno(err, "/proc/self/exe");
    struct hasher *hasher = hasher_sha256();
    while ((got = read(fd, block, sizeof block)) > 0)
        hasher_add(hasher, block, (size_t)got);
    close(fd);
    hasher_end(hasher, out);
    hasher_free(hasher);
    return got < 0 ? fail_errno(err, "/proc/self/exe") : OK;
}

enum status epoch_job(struct hub *hub, struct error *err)
{
    auto_arena struct arena arena = {0};
    auto_buf struct buf note = {0};
    struct record *record = hub->record;
    uint8_t program[SHA256_SIZE], checkpoint[SHA256_SIZE];
    if (record->epoch_us && monotonic_us() - record->epoch_us < DAY_US)
        return OK;
    TRY(record_program_digest(program, err));
    if (!record->witness || !witness_cosigned(record->witness, &note))
        ledger_checkpoint(record->ledger, &note);
    sha256(buf_view(&note), checkpoint);
    struct prov_epoch epoch = {.build = hex_encode(&arena, program, sizeof program),
                               .checkpoint = hex_encode(&arena, checkpoint, sizeof checkpoint)};
    if (record->has_policy)
        epoch.policy = hex_encode(&arena, record->policy, SHA256_SIZE);
    TRY(prov_epoch_log(hub->db, &epoch, err));
    record->epoch_us = monotonic_us();
    return OK;
}
