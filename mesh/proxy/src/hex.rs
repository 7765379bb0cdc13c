//! Hexadecimal digits of a number, without the formatting machinery.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Writes the last digits of a number, as many as `text` has bytes.
pub(crate) fn hex(number: u128, text: &mut [u8]) {
    let mut left = number;
    for digit in text.iter_mut().rev() {
        *digit = DIGITS[(left & 0xf) as usize];
        left >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_with_its_zeros() {
        let mut text = [0; 4];
        hex(0x1f_00ab, &mut text);
        assert_eq!(&text, b"00ab");
    }
}
