/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* Compiled with -mavx2 (CMakeLists.txt); pine.c picks it where the machine has it. */
#ifdef __AVX2__
#define FIELD_BITS 64
#define FE_VARIANT _avx2
#include "pine/body.h"
#endif
