//! Every limit of the wire, by section of SPEC.md. The caps on elements stand in the schema and are checked by the
//! scanner; those that a caller needs to know are here as well.

/// Messages inside messages, the outermost counted (SPEC §1.3).
pub const DEPTH_MAX: u32 = 8;
/// Fields that one message of the schema may have (SPEC §1.3).
pub(crate) const FIELDS_MAX: usize = 64;

/// Bytes of a relay's host (SPEC §6.2): with `:65535` it has a length of one byte.
pub const HOST_MAX: usize = 249;
/// Bytes of a contact link (SPEC §2.7).
pub const LINK_MAX: usize = 2 + 32 + 16 + 16 + 1 + 255;
/// Characters of a contact link after its scheme, in the longer of its two texts (SPEC §2.7).
pub const LINK_TEXT_MAX: usize = LINK_MAX.div_ceil(5) * 8;

/// Bytes of the largest payload: what a body of the largest bucket holds beside a KEM object (SPEC §5.6, §7.1).
pub const PAYLOAD_MAX: usize = 65_536 - 89 - 1_300;
/// Bytes of the largest manifest that travels in a payload (SPEC §7.1).
pub const MANIFEST_MAX: usize = PAYLOAD_MAX - 128;

/// Bytes of the largest content: a payload less a manifest of one device (SPEC §7.2).
pub const CONTENT_MAX: usize = 56_000;
/// Bytes of the fallback text (SPEC §7.2).
pub const FALLBACK_TEXT_MAX: usize = 4_096;
/// The last moment that a message may claim to be sent at: the end of the year 9999 (SPEC §7.2).
pub const SENT_AT_MS_MAX: u64 = 253_402_300_799_999;
/// Extensions of one content (SPEC §7.2).
pub const EXTENSIONS_MAX: usize = 16;
/// Bytes of one extension (SPEC §7.2).
pub const EXTENSION_MAX: usize = 4_096;

/// Bytes of a text (SPEC §7.3).
pub const TEXT_MAX: usize = 32_768;
/// Bytes of a reaction (SPEC §7.3).
pub const REACTION_MAX: usize = 64;
/// Messages that one receipt names (SPEC §7.3).
pub const RECEIPT_MAX: usize = 64;
/// Endpoints of one introduction (SPEC §7.3).
pub const ENDPOINTS_MAX: usize = 4;
/// Lock keys of one introduction (SPEC §7.3).
pub const LOCK_KEYS_MAX: usize = 4;
/// Bytes of the name of a custom body (SPEC §7.3).
pub const CUSTOM_KIND_MAX: usize = 64;
/// Bytes of a payment message inside a content (SPEC §7.3).
pub const PAYMENT_BODY_MAX: usize = 32_768;
