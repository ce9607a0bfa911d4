/* SPDX-License-Identifier: BSD-3-Clause */
#include "tvqd.h"

int main(int argc, char **argv)
{
	return tvqd_main(argc, argv);
}
