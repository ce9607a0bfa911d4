/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TVQ_CONFORMANCE_LIST_H
#define TVQ_CONFORMANCE_LIST_H

#include "conformance/ct.h"

/* Names of the suites in main.c's order. */
extern const char *const ct_suite_names[];

/* Prints a line for each requirement: number, tab, whom it binds, tab, the test that proves it
 * or -. */
int ct_list(const struct ct_test *const *suites, size_t n);

#endif
