/* SPDX-License-Identifier: BSD-3-Clause */
/* The device types of this library; to add one, see CONTRIBUTING.md. */
#ifndef TVQ_TYPES_TYPES_H
#define TVQ_TYPES_TYPES_H

#include "device/type.h"

extern const struct tvq_type tvq_type_blk, tvq_type_net;

#endif
