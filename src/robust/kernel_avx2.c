/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* kernel.c once more, for processors with AVX2. */
#ifdef __x86_64__
#pragma GCC target("avx2")
#define KERNELS kernels_avx2
#include "robust/kernel.c"
#else
typedef int nothing_here; /* C wants a file to have something in it */
#endif
