/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The script and the style of the pages, as they stand beside this file (CMakeLists.txt names them for the build). */
#include "signin/page_files.h"

#define FILE_AS(name, path)                                                                                            \
    __asm__(".pushsection .rodata\n.global " #name "\n.hidden " #name "\n" #name ":\n.incbin \"" path                  \
            "\"\n.global " #name "_end\n.hidden " #name "_end\n" #name "_end:\n.byte 0\n.popsection\n");               \
    extern const char name[] __attribute__((visibility("hidden"))), name##_end[] __attribute__((visibility("hidden")))

FILE_AS(signin_page_js, "signin/qr.js\"\n.incbin \"signin/page.js"); /* one script out of two */
FILE_AS(signin_page_css, "signin/page.css");

struct str page_script(void)
{
    return (struct str){signin_page_js, (size_t)(signin_page_js_end - signin_page_js)};
}

struct str page_style(void)
{
    return (struct str){signin_page_css, (size_t)(signin_page_css_end - signin_page_css)};
}
