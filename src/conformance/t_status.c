// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/ct.h"

const struct ct_test ct_tests_status[] = {
	{ 0 },
};
