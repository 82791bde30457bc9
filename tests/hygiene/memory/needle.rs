//! What is searched for, kept under a mask.

/// Whether a key is in use at the end of the life, or only was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Held,
    Past,
}

/// One key: its name and its bytes under the mask.
pub(super) struct Needle {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) masked: Vec<u8>,
}

#[derive(Default)]
pub(super) struct Needles(pub(super) Vec<Needle>);

/// What hides byte `i` of a key.
pub(super) fn mask(i: usize) -> u8 {
    (i as u8).wrapping_mul(167) ^ 0xa5
}

impl Needles {
    /// A key that will be replaced or is used once.
    pub(super) fn past(&mut self, name: impl Into<String>, key: &[u8]) {
        self.add(name.into(), Kind::Past, key);
    }

    /// A key that is in use at the end.
    pub(super) fn held(&mut self, name: impl Into<String>, key: &[u8]) {
        self.add(name.into(), Kind::Held, key);
    }

    /// The key that was noted last is in use at the end, under this name.
    pub(super) fn last_is_held(&mut self, name: &str) {
        let last = self.0.last_mut().unwrap();
        (last.name, last.kind) = (name.to_owned(), Kind::Held);
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.0.iter().filter(|needle| needle.kind == kind).count()
    }

    /// Every 32 bytes are noted once; being held wins.
    fn add(&mut self, name: String, kind: Kind, key: &[u8]) {
        for key in key.chunks(32) {
            self.add_whole(name.clone(), kind, key);
        }
    }

    fn add_whole(&mut self, name: String, kind: Kind, key: &[u8]) {
        let masked: Vec<u8> = key.iter().enumerate().map(|(i, byte)| byte ^ mask(i)).collect();
        match self.0.iter_mut().find(|needle| needle.masked == masked) {
            Some(known) if kind == Kind::Held => (known.name, known.kind) = (name, kind),
            Some(_) => {}
            // A fresh state has keys of zeros where there are none yet.
            None if key.iter().all(|byte| *byte == 0) => {}
            None => self.0.push(Needle { name, kind, masked }),
        }
    }
}
