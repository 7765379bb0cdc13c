//! Data: writing, sending within the window, arrival in order, reading.

use std::io;
use std::task::{Poll, Waker};

use bytes::{Bytes, BytesMut};
use hyper::rt::ReadBufCursor;

use super::endpoint::{ConnectionPhase, Fin, InFlight, Owner};
use super::limits::{RECEIVE_BUFFER, SEGMENT};
use super::packet::{DataSegment, Packet, PacketBody, SegmentPayload};
use crate::arena::ArenaKey;
use crate::kernel::{Kernel, TimedEvent};

/// Operations of the application.
impl Kernel {
    /// Writes as much data as there is room for.
    pub(crate) fn write(
        &mut self,
        key: ArenaKey,
        slices: &[io::IoSlice<'_>],
        waker: &Waker,
    ) -> Poll<io::Result<usize>> {
        self.read_acks(key);
        // The host has crashed, so the write never completes.
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return Poll::Pending;
        };
        if let ConnectionPhase::Dead { error, reported } = endpoint.phase {
            // As in Linux: the error is returned once, and afterwards `BrokenPipe`. If the peer had closed
            // gracefully, it is `BrokenPipe` from the start.
            endpoint.phase = ConnectionPhase::Dead {
                error,
                reported: true,
            };
            let error = if reported || endpoint.receive.ended {
                io::ErrorKind::BrokenPipe
            } else {
                error
            };
            return Poll::Ready(Err(error.into()));
        }
        if endpoint.send.fin != Fin::No {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let wanted: usize = slices.iter().map(|slice| slice.len()).sum();
        if wanted == 0 {
            return Poll::Ready(Ok(0));
        }
        let room =
            usize::try_from(endpoint.send.room()).expect("the size of a buffer fits in usize");
        if room == 0 {
            Kernel::wait(&mut self.discards, &mut endpoint.send.writer, waker);
            self.schedule_acks(key);
            return Poll::Pending;
        }
        let taken = wanted.min(room);
        endpoint.send.queued_bytes += taken as u64;
        gather(slices, taken, |piece| endpoint.send.queued.push_back(piece));
        self.pump(key);
        self.schedule_acks(key);
        Poll::Ready(Ok(taken))
    }

    /// Reads all available data that fits.
    pub(crate) fn read(
        &mut self,
        key: ArenaKey,
        mut into: ReadBufCursor<'_>,
        waker: &Waker,
    ) -> Poll<io::Result<()>> {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return Poll::Pending;
        };
        let receive = &mut endpoint.receive;
        if into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if receive.unread == 0 {
            if receive.ended {
                return Poll::Ready(Ok(()));
            }
            if let ConnectionPhase::Dead { error, .. } = endpoint.phase {
                return Poll::Ready(Err(error.into()));
            }
            Kernel::wait(&mut self.discards, &mut receive.reader, waker);
            return Poll::Pending;
        }
        while into.remaining() > 0 {
            let Some(mut piece) = receive.readable.pop_front() else {
                break;
            };
            let count = piece.len().min(into.remaining());
            into.put_slice(&piece[..count]);
            receive.unread -= count as u64;
            if count < piece.len() {
                receive.readable.push_front(piece.split_off(count));
            }
        }
        // The window is announced when half of it has become free, not for every byte.
        let window_end = receive.next + RECEIVE_BUFFER - receive.unread;
        let news = window_end.saturating_sub(receive.announced_window_end);
        if news >= RECEIVE_BUFFER / 2
            && endpoint.phase == ConnectionPhase::Open
            && !endpoint.receive.ended
        {
            self.acknowledge(key);
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the sending direction.
    pub(crate) fn finish(&mut self, key: ArenaKey) -> io::Result<()> {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return Ok(());
        };
        match endpoint.phase {
            ConnectionPhase::Dead { error, .. } if !endpoint.receive.ended => {
                return Err(error.into());
            }
            ConnectionPhase::Open if endpoint.send.fin == Fin::No => {
                endpoint.send.fin = Fin::Queued
            }
            _ => return Ok(()),
        }
        self.pump(key);
        self.schedule_acks(key);
        Ok(())
    }
}

/// Packets from the network.
impl Kernel {
    /// Processes received data.
    pub(super) fn on_segment(&mut self, key: ArenaKey, sender: ArenaKey, segment: DataSegment) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        let fresh = segment.sequence >= endpoint.receive.next;
        if endpoint.owner == Owner::Kernel && fresh && segment.payload.len() > 0 {
            // The endpoint has no reader, and the sender must learn of it.
            self.reset_and_remove(key);
            return;
        }
        if let ConnectionPhase::Dead { .. } = endpoint.phase {
            let (host, path) = (endpoint.host, endpoint.path);
            if let Some((peer_host, _)) = path {
                self.refuse(host, peer_host, sender);
            }
            return;
        }
        let receive = &mut endpoint.receive;
        if segment.sequence == receive.next {
            receive.take_in(segment);
            while let Some(next) = receive.early.remove(&receive.next) {
                receive.take_in(next);
            }
            Kernel::wake(&mut self.wakes, &mut receive.reader);
        } else if fresh {
            receive.early.entry(segment.sequence).or_insert(segment);
        }
        self.acknowledge(key);
        self.settle(key);
    }
}

/// Sending, shared by the two.
impl Kernel {
    /// Sends queued data within the peer's window, and the FIN after all of it.
    pub(super) fn pump(&mut self, key: ArenaKey) {
        loop {
            let Some(endpoint) = self.endpoints.get_mut(key) else {
                return;
            };
            let send = &mut endpoint.send;
            if endpoint.phase != ConnectionPhase::Open {
                return;
            }
            let window = usize::try_from(send.window_end.saturating_sub(send.next))
                .expect("the size of a window fits in usize");
            let (bytes, fin) = match send.queued.front_mut() {
                Some(_) if window == 0 => {
                    self.probe_window(key);
                    return;
                }
                Some(front) if front.len() > window => (front.split_to(window), false),
                Some(_) => (
                    send.queued.pop_front().expect("the queue is not empty"),
                    false,
                ),
                None if send.fin == Fin::Queued => {
                    send.fin = Fin::Sent;
                    (Bytes::new(), true)
                }
                None => return,
            };
            let len = u32::try_from(bytes.len()).expect("the length of a segment fits in 32 bits");
            let sequence = send.next;
            send.next += u64::from(len) + u64::from(fin);
            send.queued_bytes -= u64::from(len);
            send.in_flight.push_back(InFlight {
                sequence,
                len,
                fin,
                sent_at: self.now,
                again: false,
                lost: None,
            });
            self.send_segment(
                key,
                DataSegment {
                    sequence,
                    payload: SegmentPayload::Bytes(bytes),
                    fin,
                },
            );
        }
    }

    /// Sends a segment. If it is lost, its data is kept for retransmission.
    pub(super) fn send_segment(&mut self, key: ArenaKey, segment: DataSegment) {
        if let Err(PacketBody::Data(segment)) = self.send(key, PacketBody::Data(segment)) {
            self.lost(key, segment);
        }
    }

    /// Records that a segment did not reach its receiver.
    pub(super) fn lost(&mut self, key: ArenaKey, segment: DataSegment) {
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return;
        };
        if let SegmentPayload::Bytes(bytes) = segment.payload {
            endpoint.send.take_back(segment.sequence, bytes);
        }
        self.retry_later(key);
    }

    /// Sends a packet of an endpoint after the earlier ones. Returns the body if the packet is lost.
    pub(super) fn send(&mut self, key: ArenaKey, body: PacketBody) -> Result<(), PacketBody> {
        let now = self.now;
        let Some(endpoint) = self.endpoints.get_mut(key) else {
            return Err(body);
        };
        let Some((dst, link)) = endpoint.path else {
            return Err(body);
        };
        let Some(at) = self.links.carry(now, link, body.len()) else {
            return Err(body);
        };
        let at = at.max(endpoint.travels_until);
        endpoint.travels_until = at;
        let packet = Packet {
            src: endpoint.host,
            dst,
            sender: Some(key),
            receiver: endpoint.peer,
            body,
        };
        self.timers.insert(at, TimedEvent::Packet(packet));
        Ok(())
    }
}

impl super::endpoint::ReceiveHalf {
    /// Takes in the next segment in order.
    fn take_in(&mut self, segment: DataSegment) {
        let len = segment.payload.len() as u64;
        self.next += len + u64::from(segment.fin);
        self.ended |= segment.fin;
        if let SegmentPayload::Bytes(bytes) = segment.payload
            && len > 0
        {
            self.unread += len;
            self.readable.push_back(bytes);
        }
    }
}

/// Copies the first `count` bytes of `slices` into pieces of at most one segment.
fn gather(slices: &[io::IoSlice<'_>], count: usize, mut piece: impl FnMut(Bytes)) {
    let mut left = count;
    if let [slice] = slices {
        for chunk in slice[..left].chunks(SEGMENT) {
            piece(Bytes::copy_from_slice(chunk));
        }
        return;
    }
    let mut buffer = BytesMut::with_capacity(left.min(SEGMENT));
    for slice in slices {
        let mut slice = &slice[..slice.len().min(left)];
        left -= slice.len();
        while !slice.is_empty() {
            let (now, later) = slice.split_at(slice.len().min(SEGMENT - buffer.len()));
            buffer.extend_from_slice(now);
            slice = later;
            if buffer.len() == SEGMENT {
                piece(std::mem::take(&mut buffer).freeze());
            }
        }
    }
    if !buffer.is_empty() {
        piece(buffer.freeze());
    }
}
