/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_PURL_H
#define CAIRN_ATTEST_PURL_H

#include "base/arena.h"

/*
 * The version of a package URL ("pkg:type/namespace/name@version?qualifiers#subpath"), decoded, in the arena. False for
 * what is no package URL, has no version, or one of other than visible ASCII characters.
 */
bool purl_version(struct arena *arena, struct str purl, struct str *version);

#endif
