/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_MISUSE_PLACES_H
#define CAIRN_MISUSE_PLACES_H

#include "base/error.h"
#include "base/network.h"
#include "misuse/trail.h"

/* What the operator knows of networks and of mail domains: two files, read once at the start. */
struct places;

/* Either may be NULL: then nobody is anywhere, and no address is one to be thrown away. INVALID names file and line. */
enum status places_open(const char *countries, const char *throwaway, struct places **out, struct error *err);
void places_free(struct places *places);

const struct place *place_of(const struct places *places, const struct network *address); /* NULL: not known */
/* The domain of the address, or one above it, is on the list. */
bool is_throwaway(const struct places *places, struct str email);

#endif
