/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ERASE_H
#define CAIRN_ERASE_H

#include "base/hash.h"
#include "db/db.h"

/*
 * Forgets a person (provenance 3.4): the key that pseudonyms and commitments in the log hang on, names, address, what the person
 * signed as evidence, keys and memberships. The hub in the folder data may run or not. Each step can be made again, so that what
 * broke off is finished by calling again with the same name, and once done with the name that the account has then.
 *
 * Errors: CONFLICT while the person owns repos; UNAVAILABLE when the log does not catch up or copies are left in the files, with
 * what to do; those of the parts.
 */
struct person_erased {
    char name[32];  /* that the account has now */
    bool before;    /* it had been erased already; the rest is then not filled in */
    uint64_t count; /* leaves that were the person's */
    uint8_t
        nonce[SHA256_SIZE]; /* the person's receipt, kept nowhere: with it the digest in the log can be made again */
    bool logged;            /* the log has it; otherwise the hub puts it there when it runs */
    uint64_t index;         /* there */
};
enum status erase_person(const char *data, struct db *db, struct str name, struct str reason, struct person_erased *out,
                         struct error *err);

#endif
