/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_PAGE_FILES_H
#define CAIRN_SIGNIN_PAGE_FILES_H

#include "base/str.h"

struct str page_script(void), page_style(void);

#endif
