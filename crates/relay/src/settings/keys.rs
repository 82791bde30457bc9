//! The table of `relay.toml`: a line a key.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    layers::{Key, Keys},
    value::{CertificateMode, HostPort, Level, LogFormat, Sandbox, Size, Value},
};

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
        queue: usize = 4096, fixed;
        /// Requests that share one sync at most.
        batch: usize = 1024, fixed;
        /// How often expired messages are looked for.
        sweep_every: Duration = Duration::from_secs(60), fixed;
    }

    /// What the relay gives at most.
    [limits]
    pub struct Limits {
        /// Connections at once; beyond, newcomers are refused.
        connections: usize = 8192, live;
        /// Handshakes under way; beyond, a newcomer proves its address first (Retry).
        handshakes: usize = 64, live;
        /// Connections at once of one /24 or /48, loopback excepted; beyond, that prefix is refused.
        prefix_connections: usize = 1024, live;
        /// New mailboxes an hour of one /24 or /48, loopback excepted; beyond, that prefix is told to come later.
        prefix_mailboxes_per_hour: u32 = 256, live;
        /// Prefixes whose new mailboxes are counted; beyond, unknown prefixes make none.
        prefixes: usize = 65_536, live;
        /// How long a handshake may take; beyond, it is dropped.
        handshake_time: Duration = Duration::from_secs(10), live;
        /// How long a client may take to read what it is sent; beyond, it is dropped and its messages stay on disk.
        write_time: Duration = Duration::from_secs(30), live;
        /// How long clients have to leave when the relay drains; beyond, they are cut off.
        drain_time: Duration = Duration::from_secs(20), live;
        /// Connections that may wait to be looked at; beyond, packets of more are dropped.
        incoming: usize = 1024, fixed;
        /// Bytes that one such connection may have sent.
        incoming_size: Size = Size::kib(16), fixed;
        /// Bytes that all of them together may have sent.
        incoming_size_total: Size = Size::mib(8), fixed;
        /// Bytes that a connection may have sent that are not read yet.
        receive_window: Size = Size::kib(128), fixed;
        /// Bytes that wait for one client to take them.
        send_window: Size = Size::kib(384), fixed;
        /// Silence after which a connection is gone.
        idle_time: Duration = Duration::from_secs(60), fixed;
    }
}

/// The port that a relay listens on unless told otherwise, UDP.
pub const PORT: u16 = 7667;
/// The port of the loopback page, TCP.
pub const ADMIN_PORT: u16 = 7668;
const DAY: u64 = 24 * 3600;
