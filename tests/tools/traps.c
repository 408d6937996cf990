/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linked to what is built for ASan, where undefined behaviour is a trap: ASan reports it like its own findings. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "handle_sigill=1";
}
