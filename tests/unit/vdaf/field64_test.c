/* SPDX-License-Identifier: GPL-3.0-or-later */
#define FIELD_BITS 64
#include "field_body.h"
