/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_HUB_HUB_H
#define CAIRN_HUB_HUB_H

#include "module.h"

/* The Hub HTTP protocol in terms of the parts below: one file per area of hub-protocol section 1. */
extern const struct module hub_module;

#endif
