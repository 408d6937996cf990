/* SPDX-License-Identifier: LGPL-3.0-or-later */
/* kernel.c once more, for processors with AVX2 (CMakeLists.txt says so to the compiler; clang has no pragma for it). */
#ifdef __x86_64__
#define KERNELS kernels_avx2
#include "robust/kernel.c"
#else
typedef int nothing_here; /* C wants a file to have something in it */
#endif
