//! Every limit of the wire, by section of SPEC.md. The caps on elements stand in the schema and are checked twice.

/// Messages inside messages, the outermost counted (SPEC §1.3).
pub const DEPTH_MAX: u32 = 8;
/// Fields that one message of the schema may have (SPEC §1.3).
pub(crate) const FIELDS_MAX: usize = 64;

/// Bytes of the largest payload: what a body of the largest bucket holds beside a KEM object (SPEC §5.6).
pub const PAYLOAD_MAX: usize = 65_536 - 89 - 1_300;
/// Bytes of the largest content: a payload less a manifest (SPEC §7.2).
pub const CONTENT_MAX: usize = 56_000;
