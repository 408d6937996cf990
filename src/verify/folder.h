/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_FOLDER_H
#define CAIRN_VERIFY_FOLDER_H

#include "leaf/tensor.h"
#include "oms/statement.h"
#include "verify/report.h"

/* A folder of files that somebody downloaded. */
#define FOLDER_FILES_MOST (1 << 20)
#define FOLDER_DEPTH_MOST 64

struct folder_file {
    struct manifest_file file; /* its sha256 once it has been hashed */
    bool aside;                /* a download tool's, or named by the user: not of the model unless that lists it */
    bool hashed;
    struct error error;         /* not OK when it could not be read */
    struct tensor_list tensors; /* of a safetensors file, when they were asked for */
    struct error tensors_error; /* not OK when it is not one, whatever its name says */
    struct arena arena;         /* holds the tensors: files are read by several threads */
};

struct folder {
    const char *path;
    int fd;
    bool follow;               /* symbolic links to files */
    struct folder_file *files; /* by name; without those that no signature covers (manifest.h, defaults) */
    size_t count, capacity;
    size_t uncovered; /* how many those are */
    struct arena arena;
};

/* Where a run says how far it is. */
struct progress {
    void (*call)(void *context, const char *line);
    void *context;
    int64_t last_us;
};
void progress_say(struct progress *progress, bool now, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Lists a folder. own are paths that the user named, such as that of the proof: those inside are set aside. False, with
 * findings, when it cannot be listed or has a link that is not to be followed. Free it in any case.
 */
bool folder_open(struct folder *folder, const char *path, bool follow, const char *const *own, size_t own_count,
                 struct report *report);
void folder_free(struct folder *folder);

/* Hashes what has not been hashed yet: what is set aside only if the choice says so, and tensors too where it does.
 * False, with findings, when files cannot be read. */
struct folder_choice {
    bool aside, tensors;
};
bool folder_hash(struct folder *folder, struct folder_choice choice, struct progress *progress, struct report *report);

struct folder_file *folder_find(const struct folder *folder, struct str name); /* NULL: it is not there */

/* An oms_digest_fn; context is the folder. */
enum status folder_digest(void *context, const struct manifest_file *file, enum oms_hash hash, int64_t start,
                          int64_t end, uint8_t *out, struct error *err);

#endif
