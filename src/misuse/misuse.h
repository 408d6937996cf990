/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_MISUSE_H
#define CAIRN_MISUSE_MISUSE_H

#include "module.h"

/*
 * Keys that look misused (access.md C14): signs of it are looked for in what each key does (trail.h), points are added up
 * (signals.h), and from so many points on something is done, in steps, each with a notice and an appeal (cases.h).
 * Besides: keys that were found where they do not belong, and keys that lie about only to be found.
 */
extern const struct module misuse_module;

/*
 * From now on requests are watched. countries: a file of lines "CIDR CC LATITUDE LONGITUDE", without which nobody is
 * thought to travel; throwaway: one of a mail domain a line. Both may be NULL. INVALID names the line.
 */
enum status misuse_open(const char *countries, const char *throwaway, struct error *err);
void misuse_close(void);

/*
 * A key that opens nothing, to be laid where only a thief looks. account may be absent: whose place that is. note: for
 * the administrators, who are told of each use. *token is the only copy.
 */
enum status honey_make(struct db *db, struct arena *arena, struct str account, struct str note, struct str *token,
                       struct error *err);

#endif
