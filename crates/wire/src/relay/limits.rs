//! Every bound of the relay protocol, SPEC §6.8.
//!
//! A number that a relay or a client compares with stands here and nowhere else.

use core::time::Duration;

/// Longest frame after its length, in bytes: the largest envelope, or a publication of a bundle and 32 one-time blobs.
pub const FRAME_BYTES_MAX: usize = 72 * 1024;
/// Bytes of the length in front of every frame.
pub const FRAME_LENGTH_BYTES: usize = 4;
/// Requests of one connection that may wait for the store; the relay reads no further until one is answered.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;
/// Bytes of requests of one connection that may wait for the store.
pub const REQUEST_BYTES_IN_FLIGHT_MAX: usize = 256 * 1024;
/// Frames of one connection that are read without a pause.
pub const FRAMES_BURST: u32 = 4096;
/// Frames a second that are read from one connection behind its burst; the rest waits in the transport.
pub const FRAMES_PER_SECOND: u32 = 2048;

/// Messages that may be delivered and not yet acked.
pub const WINDOW_MESSAGES: usize = 64;
/// Bytes of envelopes that may be delivered and not yet acked.
pub const WINDOW_BYTES: usize = 256 * 1024;
/// Message numbers in one [`FromClient::Ack`](super::FromClient::Ack).
pub const ACK_SEQS_MAX: usize = WINDOW_MESSAGES;

/// Longest sealed bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024;
/// Longest sealed one-time blob, in bytes.
pub const ONE_TIME_BYTES_MAX: usize = 1536;
/// One-time blobs of one publication.
pub const ONE_TIME_PER_PUBLISH_MAX: usize = 32;
/// One-time blobs that a relay keeps for one link.
pub const ONE_TIME_STOCK_MAX: usize = 64;
/// One-time blobs that a one-time link hands out, ever.
pub const ONE_TIME_LINK_BUDGET: u32 = 1;
/// One-time blobs that a reusable link hands out in an hour.
pub const REUSABLE_LINK_BUDGET_PER_HOUR: u32 = 10;
/// Hours in which a fetch repeated with its id gets the same answer.
pub const FETCH_REPEAT_HOURS: u64 = 24;
/// Fetches of one link in an hour.
pub const FETCHES_PER_HOUR: u32 = 256;

/// Messages that wait in one mailbox.
pub const MAILBOX_MESSAGES_MAX: u32 = 4096;
/// Bytes of envelopes that wait in one mailbox.
pub const MAILBOX_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Messages of all knock capabilities together that wait in one mailbox.
pub const KNOCK_MESSAGES_MAX: u32 = 64;
/// Capabilities of one mailbox.
pub const CAPABILITIES_MAX: u32 = 4096;
/// Message ids that one mailbox remembers: those of waiting messages and of acked ones until their time.
pub const MAILBOX_SEEN_MAX: u32 = 262_144;
/// Bytes of bundles and one-time blobs that wait under all links of one mailbox.
pub const MAILBOX_PUBLISHED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Fetches that one mailbox remembers, of all its links.
pub const MAILBOX_FETCHES_MAX: u32 = 65_536;
/// Hours without a request of its owner after which a mailbox is deleted, unless a relay is told otherwise.
pub const MAILBOX_IDLE_HOURS: u64 = 180 * 24;
/// Requests of an owner within so many hours are one sign of life.
pub const MAILBOX_TOUCH_HOURS: u64 = 24;
/// Largest burst and hourly rate that an owner may give to a capability.
pub const CAPABILITY_RATE_MAX: u32 = 4096;

/// Connections at once of one address prefix, a /24 or a /48.
pub const PREFIX_CONNECTIONS_MAX: usize = 1024;
/// New mailboxes of one address prefix in an hour.
pub const PREFIX_CREATES_PER_HOUR: u32 = 256;

/// Time between `GoAway{draining}` and the end of a connection, for what is under way.
pub const DRAIN_TIME: Duration = Duration::from_secs(5);
/// Time in which the first frame of a client must arrive.
pub const FIRST_FRAME_TIME: Duration = Duration::from_secs(10);
/// Silence after which a sender's connection is closed.
pub const SENDER_IDLE_TIME: Duration = Duration::from_secs(30);

/// Longest descriptor, in bytes.
pub const DESCRIPTOR_BYTES_MAX: usize = 2048;
/// Addresses of one descriptor.
pub const DESCRIPTOR_ADDRESSES_MAX: usize = 8;
/// Longest host name of an address, in bytes (RFC 1035).
pub const HOST_BYTES_MAX: usize = 253;
/// Time in which a relay answers a request, or a client gives the connection up.
pub const ANSWER_TIME: Duration = Duration::from_secs(30);
