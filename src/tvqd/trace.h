/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The commands that pass on the transportq, decoded by the table, for whoever asks. Costs nothing
 * while nobody does.
 *
 * An event is {"trace": {"text": line, "device_id": 3, "command": "VQ_SIZE GET", "ack": "OK",
 * "out": {...}, "in": {...}}}; what a slow client missed is told by {"dropped": N} before the next
 * one.
 */
#ifndef TVQD_TRACE_H
#define TVQD_TRACE_H

struct tvqd_stream;

struct tvqd_trace {
	struct tvqd_stream *streams;
};

#endif
