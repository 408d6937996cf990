/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_WITNESS_HANDLERS_H
#define CAIRN_WITNESS_HANDLERS_H

#include "module.h"

extern const struct module witness_module;

/* Handlers, for the table of tests/unit/hub/routes_test.c. */
route_handler witness_add, witness_latest, witness_vkey;

#endif
