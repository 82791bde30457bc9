//! What the machine itself can do: its disk's syncs, its loopback's packets.

use std::{
    fs::{File, OpenOptions},
    net::UdpSocket,
    os::unix::fs::FileExt as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Fault, PAYLOAD, folder, now, payload};

/// A file that grows by one payload a sync, as any log of messages does.
pub(super) struct Log {
    file: File,
    written: u64,
    payload: Vec<u8>,
    _folder: tempfile::TempDir,
}

impl Log {
    pub(super) fn new() -> Result<Self, Fault> {
        let folder = folder()?;
        let path = folder.path().join("log");
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        file.sync_all()?;
        Ok(Self { file, written: 0, payload: payload(), _folder: folder })
    }

    /// Appends one payload and syncs: the microseconds that it took.
    pub(super) fn append(&mut self) -> Result<f64, Fault> {
        let begin = now();
        self.file.write_all_at(&self.payload, self.written)?;
        self.file.sync_data()?;
        self.written += PAYLOAD as u64;
        Ok(begin.elapsed().as_secs_f64() * 1e6)
    }

    /// Appends for so long: how many a second.
    pub(super) fn per_second(&mut self, time: Duration) -> Result<f64, Fault> {
        let begin = now();
        let mut count = 0_u32;
        while begin.elapsed() < time {
            self.append()?;
            count += 1;
        }
        Ok(f64::from(count) / begin.elapsed().as_secs_f64())
    }
}

/// Packets of 1,200 bytes that one thread sends and another receives, a second.
pub(super) fn packets_per_second(time: Duration) -> Result<f64, Fault> {
    let (from, to) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    from.connect(to.local_addr()?)?;
    to.set_read_timeout(Some(Duration::from_millis(100)))?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let sender = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            // A full buffer at the other end loses it, which is not counted.
            let _ = from.send(&[7; 1200]);
        }
    });
    let begin = now();
    let mut count = 0_u32;
    let mut packet = [0; 1500];
    while begin.elapsed() < time {
        count += u32::from(to.recv(&mut packet).is_ok());
    }
    let rate = f64::from(count) / begin.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    sender.join().map_err(|_| "the sender of packets failed")?;
    Ok(rate)
}
