//! A QUIC client of our own, for what no well-behaved one does: every packet and frame is the test's to choose.
//!
//! It does a handshake with rustls's own QUIC half and real keys, and from then on sends what it is told to, whatever the
//! relay says. One thread, one socket, no timers: nothing is sent twice.

pub(crate) mod owner;
pub(crate) mod packet;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use packet::{Frame, Reader, Space, ack, crypto, frames, seal, varint};
use rustls::{
    crypto::aws_lc_rs::{self, cipher_suite::TLS13_AES_128_GCM_SHA256, kx_group},
    quic::{ClientConnection, Connection, DirectionalKeys, KeyChange, Keys, Suite, Version},
};

use super::client::AnyCertificate;

/// One connection, or less than one.
pub(crate) struct Raw {
    pub(crate) socket: UdpSocket,
    to: SocketAddr,
    tls: Connection,
    /// The relay's connection id, and ours.
    pub(crate) ids: (Vec<u8>, Vec<u8>),
    pub(crate) token: Vec<u8>,
    keys: BTreeMap<Space, Keys>,
    sent: BTreeMap<Space, u64>,
    got: BTreeMap<Space, BTreeSet<u64>>,
    /// Handshake bytes by offset, and how many were read.
    crypto: BTreeMap<Space, (BTreeMap<u64, Vec<u8>>, u64)>,
    crypto_sent: BTreeMap<Space, u64>,
    writing: Space,
    /// What the relay said that is not a handshake, as it came.
    pub(crate) heard: Vec<Frame>,
    /// Bytes of datagrams, out and in.
    pub(crate) bytes: (usize, usize),
    muted: bool,
}

impl Space {
    const ALL: [Self; 3] = [Self::Initial, Self::Handshake, Self::Data];
}

fn suite() -> Suite {
    TLS13_AES_128_GCM_SHA256.tls13().unwrap().quic_suite().unwrap()
}

/// Transport parameters (RFC 9000, section 18) of a client that takes what a relay sends.
fn parameters(id: &[u8], window: u64) -> Vec<u8> {
    let number = |name: u64, value: u64| {
        let value = varint(value);
        [varint(name), varint(value.len() as u64), value].concat()
    };
    [
        number(0x01, 60_000),
        number(0x04, window),
        number(0x05, window),
        number(0x06, window),
        number(0x08, 4),
        [varint(0x0f), varint(id.len() as u64), id.to_vec()].concat(),
    ]
    .concat()
}

impl Raw {
    /// A client that has sent nothing yet, from this address.
    pub(crate) fn new(to: SocketAddr, from: IpAddr) -> Self {
        Self::with_window(to, from, 1 << 20)
    }

    /// One that lets the relay send so many bytes.
    pub(crate) fn with_window(to: SocketAddr, from: IpAddr, window: u64) -> Self {
        let id: [u8; 8] = rand::random();
        Self::with_parameters(to, from, id.to_vec(), parameters(&id, window))
    }

    /// One with transport parameters of the test's.
    pub(crate) fn with_parameters(
        to: SocketAddr,
        from: IpAddr,
        id: Vec<u8>,
        parameters: Vec<u8>,
    ) -> Self {
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(1000))).unwrap();
        let mut provider = aws_lc_rs::default_provider();
        // A small ClientHello: one packet.
        provider.kx_groups = vec![kx_group::X25519];
        let provider = Arc::new(provider);
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"chopmark/1".to_vec()];
        let name = "relay.invalid".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config), Version::V1, name, parameters).unwrap();
        let first: [u8; 8] = rand::random();
        let mut raw = Self {
            socket,
            to,
            tls: tls.into(),
            ids: (first.to_vec(), id),
            token: Vec::new(),
            keys: BTreeMap::new(),
            sent: BTreeMap::new(),
            got: BTreeMap::new(),
            crypto: BTreeMap::new(),
            crypto_sent: BTreeMap::new(),
            writing: Space::Initial,
            heard: Vec::new(),
            bytes: (0, 0),
            muted: false,
        };
        raw.derive();
        raw
    }

    fn derive(&mut self) {
        let keys = suite().keys(&self.ids.0, rustls::Side::Client, Version::V1);
        self.keys.insert(Space::Initial, keys);
    }

    /// The bytes of the ClientHello.
    pub(crate) fn hello(&mut self) -> Vec<u8> {
        let mut hello = Vec::new();
        assert!(self.tls.write_hs(&mut hello).is_none());
        hello
    }

    /// A packet with this payload.
    pub(crate) fn seal(&mut self, space: Space, payload: &[u8]) -> Vec<u8> {
        let number = self.sent.entry(space).or_default();
        let ids = (&self.ids.0[..], &self.ids.1[..]);
        let keys: &DirectionalKeys = &self.keys[&space].local;
        let packet = seal(keys, space, ids, &self.token, *number, payload);
        *number += 1;
        packet
    }

    /// Sends a packet with these frames, an Initial filled up to 1,200 bytes.
    pub(crate) fn send(&mut self, space: Space, payload: &[u8]) {
        let mut payload = payload.to_vec();
        if space == Space::Initial {
            let header = 7 + self.ids.0.len() + self.ids.1.len() + self.token.len() + 23;
            payload.resize(payload.len().max(1200_usize.saturating_sub(header)), 0);
        }
        payload.resize(payload.len().max(4), 0);
        let packet = self.seal(space, &payload);
        self.datagram(&packet);
    }

    pub(crate) fn datagram(&mut self, datagram: &[u8]) {
        if self.muted {
            return;
        }
        self.bytes.0 += datagram.len();
        // On loopback a full buffer is the relay's way to say that it is busy.
        let _ = self.socket.send_to(datagram, self.to);
    }

    /// From now on it only listens.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    /// Sends the first packet of a handshake.
    pub(crate) fn begin(&mut self) {
        let hello = self.hello();
        self.crypto_sent.insert(Space::Initial, hello.len() as u64);
        self.send(Space::Initial, &crypto(0, &hello));
    }

    /// Waits for one datagram and reads it. Answers handshakes and Retry by itself, acks nothing. `false` when none came.
    pub(crate) fn receive(&mut self) -> bool {
        let mut buffer = [0; 2048];
        let Ok(length) = self.socket.recv(&mut buffer) else { return false };
        self.bytes.1 += length;
        let mut rest = &mut buffer[..length];
        while !rest.is_empty() {
            let Some(used) = self.open(rest) else { break };
            rest = &mut rest[used..];
            // The keys of the next packet come out of this one.
            self.handshake();
        }
        true
    }

    /// Reads one packet of a datagram: how long it is, `None` for what is not for us.
    fn open(&mut self, datagram: &mut [u8]) -> Option<usize> {
        let first = datagram[0];
        let (space, at, end) = if first & 0x80 == 0 {
            (Space::Data, 1 + self.ids.1.len(), datagram.len())
        } else {
            let mut reader = Reader(&datagram[1..]);
            if reader.take(4)? == [0; 4] {
                return None;
            }
            let length = reader.byte()?;
            reader.take(length.into())?;
            let length = reader.byte()?;
            let from = reader.take(length.into())?.to_vec();
            match first >> 4 & 3 {
                3 => {
                    let (token, _) = reader.0.split_at_checked(reader.0.len() - 16)?;
                    self.retry(from, token.to_vec());
                    return None;
                }
                0 => {
                    let length = reader.varint()?;
                    reader.take(usize::try_from(length).ok()?)?;
                }
                _ => {}
            }
            if self.crypto.is_empty() {
                self.ids.0 = from;
            }
            let length = usize::try_from(reader.varint()?).ok()?;
            let at = datagram.len() - reader.0.len();
            let space = if first >> 4 & 3 == 0 { Space::Initial } else { Space::Handshake };
            (space, at, at + length)
        };
        let Some(keys) = self.keys.get(&space) else { return Some(end) };
        let packet = &mut datagram[..end];
        let (head, tail) = packet.split_at_mut(at);
        let (number, sample) = tail.split_at_mut(4);
        keys.remote.header.decrypt_in_place(&sample[..16], &mut head[0], number).ok()?;
        let size = usize::from(head[0] & 3) + 1;
        let short = number[..size].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let got = self.got.entry(space).or_default();
        let expected = got.last().map_or(0, |last| last + 1);
        let window = 1_u64 << (8 * size);
        let mut full = expected & !(window - 1) | short;
        if full + window / 2 <= expected {
            full += window;
        } else if full > expected + window / 2 && full >= window {
            full -= window;
        }
        let (header, payload) = packet.split_at_mut(at + size);
        let payload = keys.remote.packet.decrypt_in_place(full, header, payload).ok()?;
        got.insert(full);
        for frame in frames(payload) {
            match frame {
                Frame::Crypto(at, data) => {
                    self.crypto.entry(space).or_default().0.insert(at, data);
                }
                other => self.heard.push(other),
            }
        }
        Some(end)
    }

    fn retry(&mut self, from: Vec<u8>, token: Vec<u8>) {
        if !self.token.is_empty() {
            return;
        }
        (self.ids.0, self.token) = (from, token);
        self.derive();
    }

    /// Lets TLS go on with what has come, and sends what it says.
    fn handshake(&mut self) {
        for space in Space::ALL {
            let Some((waiting, read)) = self.crypto.get_mut(&space) else { continue };
            while let Some(data) = waiting.remove(read) {
                *read += data.len() as u64;
                if self.tls.read_hs(&data).is_err() {
                    return;
                }
            }
        }
        loop {
            let mut out = Vec::new();
            let change = self.tls.write_hs(&mut out);
            if !out.is_empty() {
                let space = self.writing;
                let at = self.crypto_sent.entry(space).or_default();
                let frame = crypto(*at, &out);
                *at += out.len() as u64;
                self.send(space, &frame);
            }
            match change {
                Some(KeyChange::Handshake { keys }) => {
                    self.keys.insert(Space::Handshake, keys);
                    self.writing = Space::Handshake;
                }
                Some(KeyChange::OneRtt { keys, .. }) => {
                    self.keys.insert(Space::Data, keys);
                    self.writing = Space::Data;
                }
                None => return,
            }
        }
    }

    /// Does a whole handshake. `false` if it did not come to an end.
    pub(crate) fn connect(&mut self) -> bool {
        let hello = self.hello();
        self.crypto_sent.insert(Space::Initial, hello.len() as u64);
        self.send(Space::Initial, &crypto(0, &hello));
        let mut retried = false;
        for _ in 0..50 {
            if !self.receive() {
                return false;
            }
            if !self.token.is_empty() && !retried {
                retried = true;
                self.send(Space::Initial, &crypto(0, &hello));
            }
            if self.closed().is_some() {
                return false;
            }
            if self.heard.contains(&Frame::HandshakeDone) {
                self.ack();
                return true;
            }
        }
        false
    }

    /// A client from loopback that is connected and has the relay's proof. Nothing is sent twice, so it tries a few times.
    pub(crate) fn connected(to: SocketAddr) -> Self {
        for _ in 0..10 {
            let mut raw = Self::new(to, IpAddr::from([127, 0, 0, 1]));
            if !raw.connect() {
                continue;
            }
            for _ in 0..20 {
                raw.listen(Duration::from_millis(20), true);
                if !raw.control().is_empty() {
                    return raw;
                }
            }
        }
        panic!("the relay does not answer")
    }

    /// Acks everything that has come under the last keys.
    pub(crate) fn ack(&mut self) {
        let got = self.got.get(&Space::Data).cloned().unwrap_or_default();
        if !got.is_empty() {
            self.send(Space::Data, &ack(&got));
        }
    }

    /// Reads until nothing comes for this long, acking if told to.
    pub(crate) fn listen(&mut self, quiet: Duration, acking: bool) {
        self.socket.set_read_timeout(Some(quiet)).unwrap();
        while self.receive() {
            if acking {
                self.ack();
            }
        }
    }

    /// How the relay closed, if it did: whether by the protocol's own code, and which.
    pub(crate) fn closed(&self) -> Option<(bool, u64)> {
        self.heard.iter().find_map(|frame| match frame {
            Frame::Close(application, code) => Some((*application, *code)),
            _ => None,
        })
    }

    /// The binding of this connection (SPEC §6.3).
    pub(crate) fn binding(&self) -> [u8; 32] {
        let label = chopmark_wire::relay::binding::EXPORTER_LABEL;
        self.tls.export_keying_material([0; 32], label, Some(b"")).unwrap()
    }

    /// Everything that came on the control stream, in order.
    pub(crate) fn control(&self) -> Vec<u8> {
        let mut parts = BTreeMap::new();
        for frame in &self.heard {
            if let Frame::Stream { id: CONTROL, at, data } = frame {
                parts.insert(*at, data.clone());
            }
        }
        let mut whole = Vec::new();
        for (at, data) in parts {
            let at = usize::try_from(at).unwrap();
            if at > whole.len() {
                break;
            }
            whole.truncate(at);
            whole.extend(data);
        }
        whole
    }
}

/// The first stream that a server opens.
pub(crate) const CONTROL: u64 = 1;
