//! Storage for the bytes of a body that are kept for its readers. Large pieces are stored as received. Small ones are
//! copied into blocks, because each one would otherwise take many times its length and keep its connection's read
//! buffer alive.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Pieces shorter than this, in bytes, are copied into a block.
const SMALL: usize = 1024;
/// The maximum size of a block, in bytes.
const BLOCK: usize = 16 * 1024;

/// The received bytes of a body that are still kept.
#[derive(Debug, Default)]
pub(super) struct KeptBytes {
    blocks: VecDeque<Block>,
    /// The offset of the first block in the body.
    first: usize,
    /// `start`: the offset of the first byte that can still be read. `end`: the offset of the next byte to arrive.
    start: usize,
    end: usize,
}

#[derive(Debug)]
enum Block {
    /// A piece as received.
    Piece(Bytes),
    /// Several small pieces. Readers get copies.
    Gathered(BytesMut),
}

impl Block {
    fn len(&self) -> usize {
        match self {
            Block::Piece(bytes) => bytes.len(),
            Block::Gathered(bytes) => bytes.len(),
        }
    }

    /// Returns its content from offset `at` of the block.
    fn from(&self, at: usize) -> Bytes {
        match self {
            Block::Piece(bytes) => bytes.slice(at..),
            Block::Gathered(bytes) => Bytes::copy_from_slice(&bytes[at..]),
        }
    }

    /// Appends a small piece, or returns it if the block has no room.
    fn gather(&mut self, piece: Bytes) -> Result<(), Bytes> {
        match self {
            Block::Gathered(bytes) if bytes.len() + piece.len() <= BLOCK => {
                bytes.extend_from_slice(&piece);
                Ok(())
            }
            Block::Piece(first) if first.len() < SMALL => {
                let mut both = BytesMut::with_capacity(2 * (first.len() + piece.len()));
                both.extend_from_slice(first);
                both.extend_from_slice(&piece);
                *self = Block::Gathered(both);
                Ok(())
            }
            Block::Gathered(_) | Block::Piece(_) => Err(piece),
        }
    }
}

impl KeptBytes {
    /// Returns the offset of the first byte that can still be read.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Returns the number of bytes that have arrived.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// Appends the next piece of the body.
    pub(super) fn push(&mut self, mut piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        self.end += piece.len();
        if piece.len() < SMALL
            && let Some(last) = self.blocks.back_mut()
        {
            match last.gather(piece) {
                Ok(()) => return,
                Err(back) => piece = back,
            }
        }
        self.blocks.push_back(Block::Piece(piece));
    }

    /// Returns bytes from offset `at`, up to the end of a block. `None` at the end. The byte must still be kept.
    pub(super) fn read(&self, at: usize) -> Option<Bytes> {
        if at >= self.end {
            return None;
        }
        // Searched from the back, because most readers are at the end or at the start.
        let mut last = self.end;
        for block in self.blocks.iter().rev() {
            let first = last - block.len();
            if first <= at {
                return Some(block.from(at - first));
            }
            last = first;
        }
        None
    }

    /// Discards the bytes before offset `at`. Returns true if there were any.
    pub(super) fn forget_before(&mut self, at: usize) -> bool {
        if at <= self.start {
            return false;
        }
        self.start = at;
        while let Some(block) = self.blocks.front()
            && self.first + block.len() <= at
        {
            self.first += block.len();
            self.blocks.pop_front();
        }
        true
    }

    /// Returns all bytes in one piece. Nothing may have been discarded.
    pub(super) fn whole(&self) -> Bytes {
        if let [only] = self.blocks.as_slices().0
            && self.blocks.len() == 1
        {
            return only.from(0);
        }
        let mut whole = BytesMut::with_capacity(self.end - self.start);
        for block in &self.blocks {
            match block {
                Block::Piece(bytes) => whole.extend_from_slice(bytes),
                Block::Gathered(bytes) => whole.extend_from_slice(bytes),
            }
        }
        whole.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_pieces_are_put_together_and_read_from_any_byte() {
        let mut kept = KeptBytes::default();
        let all: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for byte in &all[..20_000] {
            kept.push(Bytes::copy_from_slice(&[*byte]));
        }
        kept.push(Bytes::copy_from_slice(&all[20_000..]));
        assert_eq!(
            kept.blocks.len(),
            3,
            "16 KiB, the rest, and what came large"
        );
        for at in [0, 1, 16_383, 16_384, 19_999, 20_000, 39_999] {
            let mut read = Vec::new();
            while let Some(data) = kept.read(at + read.len()) {
                read.extend_from_slice(&data);
            }
            assert_eq!(read, all[at..], "{at}");
        }
        assert_eq!(kept.whole(), all);
        assert!(kept.forget_before(17_000) && kept.blocks.len() == 2);
        assert_eq!(kept.read(17_000).unwrap()[..], all[17_000..20_000]);
    }
}
