/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_SIGNIN_SIGNIN_H
#define CAIRN_SIGNIN_SIGNIN_H

#include "module.h"

/* Keys as their holders see them, and signing in: by password, one-time code and passkey. */
extern const struct module signin_module;

#endif
