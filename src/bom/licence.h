/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_BOM_LICENCE_H
#define CAIRN_BOM_LICENCE_H

#include "base/str.h"

/* A licence, as a card names it. */
struct licence {
    struct str name;
    struct str spdx; /* its identifier in SPDX's list; absent when it has none */
};

/* Cards have identifiers of their own, mostly SPDX's in small letters. spdx lives as long as the program. */
struct licence licence_of(struct str name);

#endif
