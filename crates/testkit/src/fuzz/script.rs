//! An input read as a script of operations.

/// Bytes that are read from the front: an operation, then what it is done with.
///
/// Behind the end everything is zero, so that cutting an input leaves a script and a shorter one.
pub(super) struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next operation; none behind the end.
    pub(super) fn operation(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.operation().unwrap_or(0)
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// A number below `end`; 0 if that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let drawn = if end > 256 { usize::from(self.u16()) } else { usize::from(self.u8()) };
        drawn.checked_rem(end).unwrap_or(0)
    }

    /// One of `choices`.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A byte that changes another when it is added with exclusive or.
    pub(super) fn change(&mut self) -> u8 {
        self.u8().max(1)
    }

    /// An index of a chain: mostly near `near`, sometimes at an edge of the tree, sometimes anywhere.
    pub(super) fn index(&mut self, near: u32) -> u32 {
        let kind = self.u8();
        match kind {
            0..=127 => {
                near.wrapping_add(u32::from(kind % 64)).wrapping_sub(8 * u32::from(kind / 64))
            }
            128..=191 => (1_u32 << (kind % 32)).wrapping_sub(u32::from(kind / 32) - 4),
            192..=223 => u32::MAX - u32::from(kind % 4),
            _ => self.u32(),
        }
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
}
