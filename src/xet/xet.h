/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_XET_XET_H
#define CAIRN_XET_XET_H

#include "module.h"

extern const struct module xet_module;

#endif
