/* SPDX-License-Identifier: LGPL-3.0-or-later */
#define FIELD_BITS 128
#include "pine/body.h"
