/* SPDX-License-Identifier: LGPL-3.0-or-later */
#ifndef CAIRN_VERIFY_RUN_H
#define CAIRN_VERIFY_RUN_H

#include "leaf/extra.h"
#include "tlog/proof.h"
#include "verify/folder.h"

/* What the settings of include/cairn/verify.h say; NULL where one is not given. */
struct settings {
    const char *folder, *proof, *vkey, *policy, *bundle, *key, *certificate_chain, *at, *hub, *repo, *type, *revision,
        *token, *log, *state, *max_age, *tensor;
    const char *tensors, *partial, *links; /* flags: not NULL */
};

/* Whose word counts. */
struct trust {
    struct policy policy; /* witnesses and quorum; logs too when has_log is false */
    struct note_verifier log;
    bool has_log;
    int64_t max_age; /* seconds that a quorum's word may be old; 0 for any */
};

/* What a proof file proves, once it has been verified. */
struct proven {
    struct proof proof;
    struct policy_verdict verdict;
    struct extra extra;
    struct leaf leaf;
    struct manifest files; /* those that the leaf is about, when has_files */
    bool has_files;
};

struct kept;

/* One run: what is asked, what was found. Everything lives in report.arena. */
struct run {
    struct settings settings;
    struct kept **kept; /* NULL: what is remembered is in files (memory.h) */
    bool
        brief; /* the log was looked at not long ago: a remembered key is not asked for again, nor, without need, its newest checkpoint */
    struct trust trust;
    struct proven proven;
    bool has_proven;
    struct folder folder;
    struct progress progress;
    struct report report;
};

/* Each of these checks one thing, adds findings, and returns whether it is all right. */

bool trust_read(struct run *run); /* "vkey", "policy" and "max-age" */

/* A quorum knew of no larger tree not too long ago: otherwise somebody may be kept from what came since. */
bool fresh_check(struct run *run, const struct policy_verdict *verdict);

/* A proof file's bytes: signatures, quorum, inclusion, and what goes with the leaf. Fills run->proven. */
bool proof_check(struct run *run, struct str bytes);

bool files_check(struct run *run);   /* the folder's files are those of the leaf */
bool tensors_check(struct run *run); /* its tensors too; after files_check() */
bool tensor_check(struct run *run);  /* "tensor", in place of files_check() */

/* What a hub says of one tensor: the bytes that stand for it in the tree, and where. INVALID for anything else. */
struct tensor_proof {
    struct str entry, name; /* the name is a part of the entry */
    uint64_t index, size;
    struct tlog_path path;
};
enum status tensor_proof_read(struct arena *arena, struct str text, struct tensor_proof *out, struct error *err);

bool signature_check(struct run *run); /* "bundle" */
bool hub_check(struct run *run);       /* fetches the proof, then proof_check(), and compares with what is remembered */
bool log_check(struct run *run);       /* "log" */

#endif
