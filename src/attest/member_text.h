/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_ATTEST_MEMBER_TEXT_H
#define CAIRN_ATTEST_MEMBER_TEXT_H

#include "base/str.h"

/*
 * The text of a member's value in the text of a JSON object, which a strict reader has read before, without the white
 * space around it; absent when the object has no member whose name is spelt like that. For digests of what was signed.
 */
struct str member_text(struct str object, struct str name);

#endif
