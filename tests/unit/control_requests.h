/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the control socket that are about network devices and ports, as strings. */
#ifndef CONTROL_REQUESTS_H
#define CONTROL_REQUESTS_H

#define ASK(name, more) "{\"cmd\":\"" name "\",\"args\":{" more "}}"
#define ADD(name, more)                                                                            \
	ASK("dev add", "\"name\":\"" name "\",\"mgmtdev\":\"mgmt0\",\"class\":\"net\"" more)
#define DEL(name)  ASK("dev del", "\"name\":\"" name "\"")
#define PORT(name) ASK("switch show", "\"name\":\"" name "\"")
#define MAC(last)  "52:54:00:00:00:" last

#endif
