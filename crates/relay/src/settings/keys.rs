//! The table of `relay.toml`: a line a key.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use chopmark_mailbox::relay::{Access as WhoMay, Bounds};

use super::{
    layers::{Key, Keys},
    value::{AccessMode, CertificateMode, HostPort, Level, LogFormat, Sandbox, Size, Value},
};
use crate::limits;

/// Makes a struct a section and a [`Key`] a line. A key is `live` when SIGHUP gives it a new value, else `fixed` until
/// the next start.
macro_rules! table {
    (@live live) => { true };
    (@live fixed) => { false };
    (@about $($doc:literal)+) => { concat!($($doc),+).trim_ascii() };
    (
        $(#[doc = $about:literal])+
        pub struct $top:ident {
            $($(#[doc = $tdoc:literal])+ $tkey:ident: $ttype:ty = $tdefault:expr, $tlive:ident;)+
        }
        $(
            $(#[doc = $sabout:literal])+
            [$section:ident]
            pub struct $struct:ident {
                $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr, $live:ident;)+
            }
        )+
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug)]
        pub struct $top {
            $($(#[doc = $tdoc])+ pub $tkey: $ttype,)+
            $($(#[doc = $sabout])+ pub $section: $struct,)+
        }

        $(
            $(#[doc = $sabout])+
            #[derive(Clone, Debug)]
            pub struct $struct { $($(#[doc = $doc])+ pub $key: $type,)+ }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $($key: $default,)+ }
                }
            }
        )+

        impl Default for $top {
            fn default() -> Self {
                Self { $($tkey: $tdefault,)+ $($section: $struct::default(),)+ }
            }
        }

        impl Keys for $top {
            fn keys() -> &'static [Key] {
                const KEYS: &[Key] = &[
                    $(Key {
                        name: stringify!($tkey),
                        about: table!(@about $($tdoc)+),
                        form: <$ttype as Value>::FORM,
                        live: table!(@live $tlive),
                    },)+
                    $($(Key {
                        name: concat!(stringify!($section), ".", stringify!($key)),
                        about: table!(@about $($doc)+),
                        form: <$type as Value>::FORM,
                        live: table!(@live $live),
                    },)+)+
                ];
                KEYS
            }

            fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $(stringify!($tkey) => self.$tkey = Value::parse(text)?,)+
                    $($(concat!(stringify!($section), ".", stringify!($key)) => {
                        self.$section.$key = Value::parse(text)?;
                    })+)+
                    _ => return Err("a known key".to_owned()),
                }
                Ok(())
            }

            fn show(&self, key: &str) -> Option<String> {
                Some(match key {
                    $(stringify!($tkey) => Value::show(&self.$tkey),)+
                    $($(concat!(stringify!($section), ".", stringify!($key)) => {
                        Value::show(&self.$section.$key)
                    })+)+
                    _ => return None,
                })
            }
        }
    };
}

table! {
    /// Everything that `relay.toml`, the environment and the command line decide.
    pub struct Settings {
        /// The folder for everything that the relay keeps: identity, messages, certificate, admin socket.
        data: PathBuf = PathBuf::from("chopmark-relay-data"), fixed;
        /// Where to listen, UDP.
        listen: SocketAddr = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, PORT)), fixed;
        /// The name and port under which clients reach the relay, if not where it listens.
        public: Option<HostPort> = None, fixed;
        /// Whether to give up, at the start, the right to touch any file but the relay's own (Landlock).
        sandbox: Sandbox = Sandbox::Auto, fixed;
    }

    /// The loopback page: `/healthz`, `/readyz` and `/metrics`.
    [admin]
    pub struct Admin {
        /// Where the page listens, TCP, loopback only; `none` for no page. The admin socket in the data folder is always there.
        listen: Option<SocketAddr> = Some(SocketAddr::from(([127, 0, 0, 1], ADMIN_PORT))), fixed;
    }

    /// What is logged. No line ever holds an address or an identifier, at any level.
    [log]
    pub struct Log {
        /// How much.
        level: Level = Level::Info, live;
        /// For people, or an object a line for machines.
        format: LogFormat = LogFormat::Text, fixed;
    }

    /// The certificate of TLS. It is not the relay's identity: links live on whatever it is.
    [certificate]
    pub struct Certificate {
        /// Where it comes from.
        mode: CertificateMode = CertificateMode::SelfSigned, fixed;
        /// PEM file of the chain, leaf first, for the mode `files`.
        chain: Option<PathBuf> = None, fixed;
        /// PEM file of its private key, for the mode `files`.
        key: Option<PathBuf> = None, fixed;
        /// How often the files are looked at for a change.
        watch_every: Duration = Duration::from_secs(60), fixed;
        /// How long a self-signed certificate is valid.
        valid_for: Duration = Duration::from_secs(13 * DAY), fixed;
        /// After how long a self-signed certificate is replaced by a new one.
        rotate_every: Duration = Duration::from_secs(6 * DAY), fixed;
    }

    /// The store and its disk.
    [store]
    pub struct Store {
        /// Free space below which no message is taken; acks and reads always are.
        keep_free: Size = Size::mib(64), fixed;
        /// A file that is given up when the disk is full, so that acks can still be written.
        ballast: Size = Size::mib(16), fixed;
        /// Requests of all connections that may wait for the writer; more make their connections wait.
        queue_requests: usize = 4096, fixed;
        /// Bytes that those may bring; more make their connections wait.
        queue_size: Size = Size::mib(32), fixed;
        /// Requests that share one sync at most.
        batch_requests: usize = 1024, fixed;
        /// Bytes that those bring at most, but for the last of them.
        batch_size: Size = Size::mib(4), fixed;
        /// How often expired messages are looked for; each time lets at most an hour pass, whatever the clock says.
        sweep_every: Duration = Duration::from_secs(60), fixed;
        /// How long a mailbox stays whose owner asks for nothing.
        mailbox_idle: Duration = Duration::from_secs(180 * 24 * 3600), fixed;
        /// How long what was acked may stay in the files of the store.
        erase_every: Duration = Duration::from_secs(24 * 3600), fixed;
    }

    /// Who may make mailboxes here. Whoever has one opens it in every mode.
    [access]
    pub struct Access {
        /// Everyone within the share of an address prefix, who shows a token, or nobody.
        mode: AccessMode = AccessMode::Open, live;
        /// File of the hashes of the tokens of the mode `tokens`, 64 hexadecimal digits a line; `#` begins a remark.
        tokens: Option<PathBuf> = None, live;
    }

    /// What the relay gives at most. A change is for newcomers; who is here stays under what was. How often each was met
    /// is counted in `chopmark_relay_limited_total`.
    [limits]
    pub struct Limits {
        /// Connections at once; beyond, newcomers are refused.
        connections: usize = node().connections, live;
        /// Handshakes under way; beyond, newcomers are refused.
        handshakes: usize = node().handshakes, live;
        /// Handshakes under way from which on a newcomer must prove its address first (Retry).
        retry_above: usize = node().retry_above, live;
        /// How long a handshake may take; beyond, it is given up.
        handshake_time: Duration = node().handshake_time, live;
        /// How long an answer to Retry is good.
        retry_token_time: Duration = node().retry_token_time, live;
        /// Connections at once of one /24 or /48, loopback excepted; beyond, newcomers from there are refused.
        prefix_connections: usize = node().prefix_connections, live;
        /// New mailboxes an hour of one /24 or /48, loopback excepted; beyond, those from there come later.
        prefix_creates_per_hour: u32 = node().prefix_creates_per_hour, live;
        /// Prefixes whose new mailboxes are counted; beyond, prefixes that are not among them make none.
        prefixes: usize = node().prefixes, live;
        /// Connections that may wait to be looked at; beyond, newcomers are refused.
        incoming: usize = node().incoming, live;
        /// Bytes that one of them may have sent before it is looked at; the rest is dropped.
        incoming_size: Size = Size(node().incoming_bytes), live;
        /// Bytes that all of them may have sent before; the rest is dropped.
        incoming_size_total: Size = Size(node().incoming_bytes_total), live;
        /// Bytes of one connection that are held until they are read; beyond, the client waits.
        receive_window: Size = Size(node().receive_window.into()), live;
        /// Bytes for one connection that wait to be taken; beyond, nothing more is read from it.
        send_window: Size = Size(node().send_window), live;
        /// Silence after which a connection is gone.
        idle_time: Duration = node().idle_time, live;
        /// How long a client may take to take what it is sent; beyond, it is closed and its messages stay.
        write_time: Duration = node().write_time, live;
        /// How long a write may take until its client counts as slow.
        slow_after: Duration = node().slow_after, live;
        /// Slow clients at once; beyond, they are closed and their messages stay.
        slow_readers: usize = node().slow_readers, live;
        /// Requests of one connection that may be with the store; beyond, no more is read from it.
        requests: usize = node().connection.requests, live;
        /// Bytes of those requests; beyond, no more is read from it.
        request_size: Size = Size(node().connection.request_bytes as u64), live;
        /// Frames of one connection that are read without a pause.
        frames_burst: u32 = node().connection.frames_burst, live;
        /// Frames a second behind that; beyond, no more is read for a while.
        frames_per_second: u32 = node().connection.frames_per_second, live;
        /// Messages that may be delivered and not yet acked, 1 to 64; beyond, they stay on disk.
        window_messages: usize = node().connection.window_messages, live;
        /// Bytes that may be delivered and not yet acked, 64 to 256 KiB; beyond, they stay on disk.
        window_size: Size = Size(node().connection.window_bytes as u64), live;
        /// Time that a client has for its first frame; beyond, it is closed.
        first_frame_time: Duration = node().connection.first_frame_time, live;
        /// Silence of a sender with nothing under way; beyond, it is closed.
        sender_idle_time: Duration = node().connection.sender_idle_time, live;
        /// How long clients have to leave when the relay drains; beyond, they are cut off.
        drain_time: Duration = node().connection.drain_time, live;
    }
}

/// What a node does unless told otherwise.
fn node() -> limits::Limits {
    limits::Limits::default()
}

impl Limits {
    /// As the node wants them. What does not fit its number is as large as it can be, and refused there.
    pub fn of_node(&self, access: WhoMay) -> limits::Limits {
        limits::Limits {
            connections: self.connections,
            handshakes: self.handshakes,
            retry_above: self.retry_above,
            handshake_time: self.handshake_time,
            retry_token_time: self.retry_token_time,
            prefix_connections: self.prefix_connections,
            prefix_creates_per_hour: self.prefix_creates_per_hour,
            prefixes: self.prefixes,
            incoming: self.incoming,
            incoming_bytes: self.incoming_size.bytes(),
            incoming_bytes_total: self.incoming_size_total.bytes(),
            receive_window: u32::try_from(self.receive_window.bytes()).unwrap_or(u32::MAX),
            send_window: self.send_window.bytes(),
            idle_time: self.idle_time,
            write_time: self.write_time,
            slow_after: self.slow_after,
            slow_readers: self.slow_readers,
            connection: Bounds {
                requests: self.requests,
                request_bytes: self.request_size.length(),
                frames_burst: self.frames_burst,
                frames_per_second: self.frames_per_second,
                window_messages: self.window_messages,
                window_bytes: self.window_size.length(),
                first_frame_time: self.first_frame_time,
                sender_idle_time: self.sender_idle_time,
                drain_time: self.drain_time,
                access,
            },
        }
    }
}

/// The port that a relay listens on unless told otherwise, UDP.
pub const PORT: u16 = 7667;
/// The port of the loopback page, TCP.
pub const ADMIN_PORT: u16 = 7668;
const DAY: u64 = 24 * 3600;
