/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_IMPORT_H
#define CAIRN_GATE_IMPORT_H

#include "gate/gate.h"

/*
 * A gate that exists on another hub, brought here: people and their answers, from the report that such hubs export, as
 * CSV with a head line or as a JSON list of objects. Columns: user (or username), fullname, email, status (pending,
 * accepted, rejected), timestamp; every other one is a question, and its values are answers. The questions and the
 * prompt of the gate come with the repo's own card where that has them (gate_card_set()).
 *
 * Names are those of the other hub: whoever has the same name here may be somebody else. So a person is taken over when
 * the addresses are the same, or when the caller says that names can be trusted.
 */
#define IMPORT_FILE_LIMIT (64 << 20)
#define IMPORT_PEOPLE_MOST 200000

struct import {
    bool dry_run;     /* find out, and change nothing */
    bool trust_names; /* without the same address, the same name will do */
    /* What became of each row; what is "accepted", "pending", "draft", "rejected" or "skipped", why is set for the last. */
    void (*report)(void *context, struct str user, const char *what, const char *why);
    void *context;
    int64_t accepted, pending, drafts, rejected, skipped; /* filled in */
};

/* The gate is made (mode manual) where the repo has none. INVALID for a file that cannot be read, CONFLICT for a gate of
 * a group. What was taken over before is skipped, so that a run that broke off can be repeated. */
enum status gate_import(struct db *db, const struct repo *repo, struct str file, struct import *how, struct error *err);

/* The people of a file; for tests and fuzzing. Strings live in arena. */
struct import_person {
    struct str user, full_name, email, status, timestamp;
    struct str answers; /* JSON object of the other columns */
};
struct import_file {
    struct import_person *people;
    size_t count;
    struct str questions[64]; /* names of the other columns */
    size_t question_count;
};
enum status import_read(struct arena *arena, struct str file, struct import_file *out, struct error *err);

#endif
