//! Limits on frames that cost an HTTP/2 peer nothing but cost the receiver a little each: PRIORITY, WINDOW_UPDATE,
//! frames without content, PING, SETTINGS and unknown ones. A peer that exceeds them gets ENHANCE_YOUR_CALM, and the
//! connection is closed.
//!
//! Limits and formulas are Envoy's if it has them. Envoy bounds the answers to PING and SETTINGS that wait to be
//! sent. h2 stops reading while one waits, so the limit here is on the number of such frames in relation to useful
//! ones, per period. Source: Envoy, `Http2::ProtocolConstraints`.

use std::time::Duration;

use shakedown_env::Time;

use super::frames::{FrameHeader, kind};

/// Source: Envoy, `max_inbound_priority_frames_per_stream`.
const PRIORITY_PER_STREAM: u64 = 100;
/// Source: Envoy, `max_inbound_window_update_frames_per_data_frame_sent`.
const WINDOW_UPDATES_PER_DATA: u64 = 10;
/// Source: Envoy, `max_consecutive_inbound_frames_with_empty_payload`.
const EMPTY_IN_A_ROW: u32 = 1;
/// The maximum number of control frames per period. Source: Envoy, `max_outbound_control_frames`.
const CONTROL_FRAMES: u64 = 1000;
/// The number of control frames that one useful frame compensates.
const CONTROL_PER_USEFUL: u64 = 10;
/// The period after which the count of control frames starts again.
const CONTROL_PERIOD: Duration = Duration::from_secs(10);

/// A limit that a peer has exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flood {
    /// More than 100 PRIORITY frames per stream.
    #[error("too many PRIORITY frames")]
    Priority,
    /// More than 10 WINDOW_UPDATE frames per sent DATA frame.
    #[error("too many WINDOW_UPDATE frames")]
    WindowUpdate,
    /// Consecutive HEADERS, CONTINUATION or DATA frames without content that do not end anything.
    #[error("too many frames with an empty payload")]
    Empty,
    /// PING, SETTINGS and unknown frames, and HEADERS frames after GOAWAY was sent.
    #[error("too many control frames")]
    Control,
}

/// The counts of one connection that the limits depend on.
#[derive(Debug)]
pub(super) struct Constraints {
    streams: u64,
    priority: u64,
    window_updates: u64,
    data_sent: u64,
    empty_in_a_row: u32,
    control: u64,
    control_since: Time,
    /// True once GOAWAY was sent to the peer.
    pub(super) leaving: bool,
}

impl Constraints {
    pub(super) fn new(now: Time) -> Constraints {
        Constraints {
            streams: 0,
            priority: 0,
            window_updates: 0,
            data_sent: 0,
            empty_in_a_row: 0,
            control: 0,
            control_since: now,
            leaving: false,
        }
    }

    /// Counts a received frame. `now` is called only at the limit.
    pub(super) fn received(
        &mut self,
        frame: FrameHeader,
        now: impl FnOnce() -> Time,
    ) -> Result<(), Flood> {
        match frame.kind {
            kind::DATA => self.content(frame)?,
            kind::HEADERS | kind::CONTINUATION => {
                self.content(frame)?;
                if self.leaving {
                    return self.control(now);
                }
                if frame.ends_headers() {
                    self.streams += 1;
                    self.useful();
                }
            }
            kind::PRIORITY => self.priority += 1,
            kind::WINDOW_UPDATE => self.window_updates += 1,
            // h2 bounds the streams that are reset before they are served. The code that serves streams bounds later
            // resets.
            kind::RST_STREAM => {}
            _ => return self.control(now),
        }
        if self.priority > PRIORITY_PER_STREAM.saturating_mul(1 + self.streams) {
            return Err(Flood::Priority);
        }
        let sent = WINDOW_UPDATES_PER_DATA.saturating_mul(self.data_sent);
        if self.window_updates > 5 + 2 * self.streams.saturating_add(sent) {
            return Err(Flood::WindowUpdate);
        }
        Ok(())
    }

    /// Counts a sent frame.
    pub(super) fn sent(&mut self, frame: FrameHeader) {
        if frame.kind == kind::DATA {
            self.data_sent += 1;
            self.useful();
        }
    }

    fn content(&mut self, frame: FrameHeader) -> Result<(), Flood> {
        if frame.content > 0 || frame.ends_stream() {
            self.empty_in_a_row = 0;
            if frame.kind == kind::DATA {
                self.useful();
            }
            return Ok(());
        }
        self.empty_in_a_row += 1;
        if self.empty_in_a_row > EMPTY_IN_A_ROW {
            return Err(Flood::Empty);
        }
        Ok(())
    }

    fn useful(&mut self) {
        self.control = self.control.saturating_sub(CONTROL_PER_USEFUL);
    }

    fn control(&mut self, now: impl FnOnce() -> Time) -> Result<(), Flood> {
        self.control += 1;
        if self.control <= CONTROL_FRAMES {
            return Ok(());
        }
        let now = now();
        if now.since(self.control_since) < CONTROL_PERIOD {
            return Err(Flood::Control);
        }
        (self.control, self.control_since) = (1, now);
        Ok(())
    }
}
