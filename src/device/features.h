/* SPDX-License-Identifier: BSD-3-Clause */
/* Feature bits that do not depend on the device type (virtio 1.4, section 6), by number. The
 * system's headers do not have all of them. */
#ifndef TVQ_DEVICE_FEATURES_H
#define TVQ_DEVICE_FEATURES_H

enum {
	TVQ_F_INDIRECT_DESC = 28,
	TVQ_F_EVENT_IDX = 29,
	TVQ_F_VERSION_1 = 32,
	TVQ_F_ACCESS_PLATFORM = 33,
	TVQ_F_RING_PACKED = 34,
	TVQ_F_IN_ORDER = 35,
	TVQ_F_NOTIFICATION_DATA = 38,
	TVQ_F_RING_RESET = 40,
};

#define TVQ_BIT(n) (1ull << (n))

#endif
