/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_TERMS_CLASSIFY_H
#define CAIRN_TERMS_CLASSIFY_H

#include "base/arena.h"
#include "base/str.h"

/*
 * How much a change of a text matters (access C5), by a rule that anybody can follow:
 *
 * - editorial: the words are the same, in the same order, but for white space, punctuation, letter case, what links lead
 *   to, and typing errors. A typing error is one letter more, less or other in a word of at least five letters which
 *   begins as before and has no digit.
 * - minor: otherwise, lines were added and none was taken away, and each of them gives a right ("you may", "Sie dürfen")
 *   and has no word that binds or limits ("must", "only", "unless", "nicht"...). Lists: classify.c. So is another
 *   language beside those that are there, or one less.
 * - material: everything else.
 *
 * The rule knows English and German; in other languages whatever is not editorial is material. It only proposes: people
 * may always choose more, and less when they say so.
 */
enum change { CHANGE_EDITORIAL = 1, CHANGE_MINOR, CHANGE_MATERIAL, CHANGE_EMERGENCY };
const char *change_name(enum change change);
bool change_parse(struct str name, enum change *out);

/* Texts are UTF-8, of any content. */
enum change classify(struct arena *arena, struct str before, struct str after);

#endif
