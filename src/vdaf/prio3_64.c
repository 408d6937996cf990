/* SPDX-License-Identifier: LGPL-3.0-or-later */
#define FIELD_BITS 64
#include "vdaf/prio3_body.h"
