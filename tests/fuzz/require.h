/* SPDX-License-Identifier: BSD-3-Clause */
/* What has to hold whatever the input is: a fuzzer ends here where it does not. */
#ifndef TVQ_FUZZ_REQUIRE_H
#define TVQ_FUZZ_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

#define REQUIRE(what)                                                                              \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not so: %s\n", #what);                                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
