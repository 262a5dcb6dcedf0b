import type { Socket } from 'node:net';
import { FrameQueue } from '../../frame-queue.ts';
import type { PacketChunk } from './packet-cutter.ts';

/** Whole binlog events: event i is `buffer[frames[2i], frames[2i+1])`. */
export type EventChunk = PacketChunk;

const HIGH_WATER = 1024 * 1024;
const NO_EVENTS: EventChunk = { buffer: Buffer.alloc(0), frames: [] };

/** Events of a dump; the dump thread sends them one by one. */
export function eventQueue(socket: Socket): FrameQueue<EventChunk> {
  return new FrameQueue(socket, { none: NO_EVENTS, highWater: HIGH_WATER, lazy: true });
}
