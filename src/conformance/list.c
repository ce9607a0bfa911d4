// SPDX-License-Identifier: BSD-3-Clause
/*
 * Every requirement of the specification and the test that proves it: one of this suite, or, where
 * it cannot be seen from the driver's side, the unit or system test named in requirements.def.
 */
#include <stdio.h>
#include <string.h>

#include "conformance/list.h"

const char *const ct_suite_names[] = {
	"2 queues",   "3 commands", "3 broken rings", "4.1 resources", "4.2 vdev",  "4.4 status",
	"4.5 config", "4.6 msi",    "4.7 queues",     "4.8 notify",    "4.9 index", "4.10 spaces",
	"5 block",    "5 network",  "5 switch",	      "4.11 inflight", "2 nested",  "pci",
};

static const struct {
	const char *number, *binds, *proof;
} requirements[] = {
#define R(number, binds, proof) { number, binds, proof },
#include "conformance/requirements.def"
#undef R
};

/* A whole number in a list of them: "TQ-020 TQ-034". */
static bool names(const char *numbers, const char *number)
{
	const char *at = strstr(numbers, number);

	return at && (at[strlen(number)] == ' ' || !at[strlen(number)]);
}

static const char *find(const struct ct_test *const *suites, size_t n, const char *number)
{
	for (size_t s = 0; s < n; s++)
		for (const struct ct_test *t = suites[s]; t->run; t++)
			if (names(t->numbers, number))
				return t->name;
	return NULL;
}

int ct_list(const struct ct_test *const *suites, size_t n)
{
	for (size_t i = 0; i < sizeof(requirements) / sizeof(requirements[0]); i++) {
		const char *test = find(suites, n, requirements[i].number);

		printf("%s\t%s\t%s%s\n", requirements[i].number, requirements[i].binds,
		       test ? "conformance:" : "", test ? test : requirements[i].proof);
	}
	return 0;
}
