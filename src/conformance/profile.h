/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TVQ_CONFORMANCE_PROFILE_H
#define TVQ_CONFORMANCE_PROFILE_H

#include "conformance/ct.h"

/* What the suite's own in-process device has. */
void ct_profile_default(struct ct_profile *p);
/* Reads a file of "word value" lines over it; # begins a comment. -1: the error has been
 * printed. */
int ct_profile_read(struct ct_profile *p, const char *path);

#endif
