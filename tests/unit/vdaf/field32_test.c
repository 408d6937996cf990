/* SPDX-License-Identifier: GPL-3.0-or-later */
#define FIELD_BITS 32
#include "field_body.h"
