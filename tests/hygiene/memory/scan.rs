//! A search through all writable memory of this process, by `/proc/self`.

use std::{collections::BTreeMap, fs, fs::File, os::unix::fs::FileExt};

use super::needle::{Kind, Needles, mask};

/// Bytes of a key that have to be found together.
const PART: usize = 14;

/// Where in a key of 32 bytes the parts begin: neither has the first or the last byte, which X25519 clamps.
const PARTS: [usize; 2] = [1, 17];

/// The memory of this process, and a buffer to look at it.
pub(super) struct Memory {
    file: File,
    buffer: Vec<u8>,
}

/// What was found: for each needle the places, apart from the stack that the secrets lived on and on it.
#[derive(Default)]
pub(super) struct Found {
    elsewhere: BTreeMap<usize, Vec<String>>,
    on_the_stack: BTreeMap<usize, Vec<String>>,
}

/// Where a key may be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// On a heap, in static memory, on another thread's stack.
    Elsewhere,
    /// On the stack of the thread that used it.
    Stack,
}

struct Mapping {
    start: u64,
    end: u64,
    name: String,
}

impl Memory {
    pub(super) fn of_this_process() -> Self {
        Self { file: File::open("/proc/self/mem").unwrap(), buffer: vec![0; 1 << 20] }
    }

    /// Searches every writable mapping for both halves of every needle. `on_stack` is an address on the stack of the
    /// thread that uses the keys.
    pub(super) fn search(&mut self, needles: &Needles, on_stack: u64) -> Found {
        // By the first two bytes of a part: which part of which needle it may be.
        let mut begins: Vec<Vec<(usize, usize)>> = vec![Vec::new(); 1 << 16];
        for (number, needle) in needles.0.iter().enumerate() {
            for part in PARTS.into_iter().filter(|part| part + PART <= needle.masked.len()) {
                let first = needle.masked[part] ^ mask(part);
                let second = needle.masked[part + 1] ^ mask(part + 1);
                begins[usize::from(first) << 8 | usize::from(second)].push((number, part));
            }
        }
        let own = self.buffer.as_ptr() as u64..self.buffer.as_ptr() as u64 + (1 << 20);
        let mut found = Found::default();
        let mut searched = 0;
        for mapping in mappings() {
            let places = match (mapping.start..mapping.end).contains(&on_stack) {
                true => &mut found.on_the_stack,
                false => &mut found.elsewhere,
            };
            let mut at = mapping.start;
            while at < mapping.end {
                let length = (mapping.end - at).min(self.buffer.len() as u64) as usize;
                let Ok(read) = self.file.read_at(&mut self.buffer[..length], at) else { break };
                if read < PART {
                    break;
                }
                searched += read;
                let seen = &self.buffer[..read];
                for offset in 0..=read - PART {
                    let pair = usize::from(seen[offset]) << 8 | usize::from(seen[offset + 1]);
                    for (number, part) in &begins[pair] {
                        let masked = &needles.0[*number].masked[*part..*part + PART];
                        let place = at + offset as u64;
                        let equal = |i: usize| seen[offset + i] ^ mask(part + i) == masked[i];
                        if (0..PART).all(equal) && !own.contains(&place) {
                            let place = format!("{place:x} in {}", mapping.name);
                            places.entry(*number).or_default().push(place);
                        }
                    }
                }
                if read < length {
                    break;
                }
                // Chunks overlap, so that nothing hides on a border.
                at += read as u64;
                if at < mapping.end {
                    at -= PART as u64;
                }
            }
        }
        self.buffer.fill(0);
        assert!(searched > 1 << 20, "only {searched} bytes were searched");
        found
    }
}

impl Found {
    /// The needles of this kind that were found there, with their addresses.
    pub(super) fn of(&self, needles: &Needles, kind: Kind, place: Place) -> Vec<String> {
        let found = match place {
            Place::Elsewhere => &self.elsewhere,
            Place::Stack => &self.on_the_stack,
        };
        let found = found.iter().map(|(number, places)| (&needles.0[*number], places));
        let found = found.filter(|(needle, _)| needle.kind == kind);
        found.map(|(needle, places)| format!("{}: {}", needle.name, places.join(", "))).collect()
    }

    /// The names of the needles of this kind that were not found, the stack not searched.
    pub(super) fn missing<'a>(&self, needles: &'a Needles, kind: Kind) -> Vec<&'a str> {
        let all = needles.0.iter().enumerate().filter(|(_, needle)| needle.kind == kind);
        let missing = all.filter(|(number, _)| !self.elsewhere.contains_key(number));
        missing.map(|(_, needle)| needle.name.as_str()).collect()
    }
}

/// The writable mappings of this process, heaps and stacks among them.
fn mappings() -> Vec<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let mapping = |line: &str| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let writable = fields.next()?.starts_with("rw");
        let name = fields.nth(3).unwrap_or("anonymous memory").to_owned();
        let parse = |hex| u64::from_str_radix(hex, 16).ok();
        writable.then_some(Mapping { start: parse(start)?, end: parse(end)?, name })
    };
    let found: Vec<Mapping> = maps.lines().filter_map(mapping).collect();
    for region in ["[heap]", "[stack]"] {
        assert!(found.iter().any(|mapping| mapping.name == region), "{region}");
    }
    found
}
