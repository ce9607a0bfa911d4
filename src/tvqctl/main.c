/* SPDX-License-Identifier: BSD-3-Clause */
#include "tvqctl.h"

int main(int argc, char **argv)
{
	return ctl_main(argc, argv);
}
