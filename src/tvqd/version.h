/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TVQD_VERSION_H
#define TVQD_VERSION_H

#ifndef TVQ_VERSION
#define TVQ_VERSION "0.1.0"
#endif

#endif
