/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef CAIRN_GATE_GUARDS_H
#define CAIRN_GATE_GUARDS_H

#include "gate/review.h"

/* What the rows of request_machine.c ask (guards.c) and do (effects.c); review.h has those about reviewers. */
machine_guard may_submit, is_barred, lacks_checks, may_clear, has_checks, may_judge, wait_is_over, approves, refuses,
    second_differs, third_approves, third_refuses, silence_approves;
machine_effect write_answers, begin_screening, let_in, tell_refused, tell_missing, screen_again, write_question,
    tell_lapsed, end_case, tell_terms, end_void, reapply, reopen;

#endif
