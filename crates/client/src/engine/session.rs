//! Sessions in the engine: loaded, used and stored inside one transaction, nothing kept between two.
//!
//! SPEC §9.3 [session-in-transaction]: two processes of one home therefore never seal with one key twice.

use chopmark_core::handshake::Own;
use chopmark_core::identity::DeviceEntry;
use chopmark_core::prekey::{OneTimePrekeySecret, SignedPrekeySecret, VerifiedBundle};
use chopmark_core::session::{Event, OpenError, Opened, Session, SessionId, Status};
use chopmark_core::sessions::Sessions;
use chopmark_wire::payload::Payload;

use super::account::DEVICE;
use super::blob::Blob;
use super::contact::{self, Contact};
use super::knock::Rejected;
use super::outbox::{Slot, Stage};
use super::turn::Turn;
use crate::error::Error;
use crate::event::What;
use crate::store::{Kind, Tx};

/// What a delivery was, once a session opened it.
pub(crate) struct Arrived {
    /// None of a probe, which only moves a session, and of what is no payload.
    pub(crate) payload: Option<Payload>,
    /// Sending moved to another session: what is not acknowledged goes out again there.
    pub(crate) moved: bool,
}

impl Turn<'_, '_> {
    /// Begins a session with the device of a bundle.
    pub(crate) fn begin_session(
        &mut self,
        contact: &[u8; 32],
        bundle: &VerifiedBundle,
    ) -> Result<(), Error> {
        let account = self.account()?;
        let keys = account.device_keys()?;
        let own = Own { account: account.id()?, device: DEVICE, keys: &keys };
        let session = Session::initiate(&own, bundle, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        let mut sessions = load(self.tx, contact)?;
        sessions.insert(session);
        save(self.tx, contact, &sessions)
    }

    /// Opens the first message of a session that someone began; nothing is stored yet.
    pub(crate) fn respond(
        &self,
        signed: &SignedPrekeySecret,
        one_time: Option<&OneTimePrekeySecret>,
        envelope: &[u8],
    ) -> Result<Opened, Rejected> {
        let account = self.account()?;
        let keys = account.device_keys()?;
        let own = Own { account: account.id()?, device: DEVICE, keys: &keys };
        Session::respond(&own, signed, one_time, envelope, self.now)
            .map_err(|_| Rejected::Drop("a first message that does not open"))
    }

    /// Keeps a session that someone began, now that their manifest vouches for the device.
    pub(crate) fn adopt(
        &mut self,
        contact: &[u8; 32],
        opened: Opened,
        entry: &DeviceEntry,
    ) -> Result<(), Rejected> {
        let mut session = opened.session;
        let account = session.peer().account;
        session
            .introduce(&account, entry)
            .map_err(|_| Rejected::Drop("a device that its manifest does not have"))?;
        let mut sessions = load(self.tx, contact)?;
        sessions.insert(session);
        Ok(save(self.tx, contact, &sessions)?)
    }

    /// Seals a content on the session that sends; without one it waits.
    ///
    /// The next state is stored in this very transaction, and the envelope leaves after its commit.
    pub(crate) fn seal(&mut self, contact: &[u8; 32], content: &[u8]) -> Result<Stage, Error> {
        let sessions = load(self.tx, contact)?;
        let Some(sending) = sessions.sending() else { return Ok(Stage::Unsealed) };
        let account = self.account()?;
        // SPEC §4.3 [manifest-rides]: in message 0 and every 8th until the first reply.
        let manifest_bytes = if sending.status() == Status::Opening {
            let mut record = Contact::load(self.tx, contact)?.ok_or(Error::NoSuchContact)?;
            let rides = record.unanswered.is_multiple_of(8);
            record.unanswered = record.unanswered.saturating_add(1);
            record.save(self.tx, contact)?;
            rides.then(|| account.manifest.to_vec().into())
        } else {
            None
        };
        let payload = Payload {
            manifest: account.mark()?,
            manifest_bytes,
            content: Some(content.to_vec().into()),
            resend_after: None,
        };
        let bytes = payload.encode().map_err(|error| Error::Seal(error.to_string()))?;
        let sealed = sessions
            .seal(&bytes, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        let slot = Slot::new(sealed.session(), sealed.position());
        let tx = &mut *self.tx;
        let sent = sealed.commit(|unsent| save(tx, contact, unsent.state))?;
        Ok(Stage::Sealed { envelope: Blob::new(sent.envelope.as_bytes()), slot })
    }

    /// Opens an envelope on one of a contact's sessions, and stores what follows from it.
    pub(crate) fn open(
        &mut self,
        contact: &[u8; 32],
        envelope: &[u8],
    ) -> Result<Arrived, Rejected> {
        let sessions = load(self.tx, contact)?;
        let one = sessions.open(envelope, self.now).map_err(|error| match error {
            OpenError::PeerRolledBack => Rejected::Warn("the contact's device fell back to an older state; messages may be lost until it is set up again"),
            OpenError::PeerForked => Rejected::Warn("the contact's device is in use twice; someone may have copied it"),
            _ => Rejected::Drop("an envelope that no session opens"),
        })?;
        save(self.tx, contact, &one.sessions)?;
        for event in &one.opened.events {
            // SPEC §5.8 [own-rollback-is-seen], §5.9: neither heals by itself, so the user has to know.
            let text = match event {
                Event::AcknowledgedBeyondSent => OLD_COPY,
                Event::Evicted { .. } => GIVEN_UP,
                _ => continue,
            };
            self.emit(What::Warning { contact: Some((*contact).into()), text: text.to_owned() })?;
        }
        if let Some(acknowledged) = one.opened.acknowledged {
            self.acknowledged(contact, one.opened.session.id(), acknowledged)?;
        }
        let payload = Payload::decode(&one.opened.content.to_vec().into()).ok();
        Ok(Arrived { payload, moved: one.moved })
    }

    /// Sends what brings sessions on without carrying anything: the step that confirms the one that sends, and the probes
    /// of those that stand beside a confirmed one (SPEC §5.8).
    ///
    /// SPEC §6.9 [no-reaction-before-consent]: only for who was accepted, or was written to first.
    pub(crate) fn nudge_sessions(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        match Contact::load(self.tx, contact)?.map(|contact| contact.stage) {
            Some(contact::Stage::Accepted | contact::Stage::Knocked) => {}
            _ => return Ok(()),
        }
        let before = load(self.tx, contact)?;
        let before = before.sending().map(|sending| (sending.id(), sending.owes_progress()));
        if let Some((sending, true)) = before {
            self.probe(contact, sending)?;
        }
        for _ in 0..MOST_PROBES {
            match load(self.tx, contact)?.probe_due() {
                Some(session) => self.probe(contact, session)?,
                None => break,
            }
        }
        let after = load(self.tx, contact)?.sending().map(Session::id);
        if before.is_some_and(|(sending, _)| Some(sending) != after) {
            self.seal_again(contact)?;
        }
        Ok(())
    }

    fn probe(&mut self, contact: &[u8; 32], session: SessionId) -> Result<(), Error> {
        let sealed = load(self.tx, contact)?
            .seal_probe(session, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        let slot = Slot::new(sealed.session(), sealed.position());
        let tx = &mut *self.tx;
        let sent = sealed.commit(|unsent| save(tx, contact, unsent.state))?;
        let stage = Stage::Sealed { envelope: Blob::new(sent.envelope.as_bytes()), slot };
        self.queue_probe(contact, stage)
    }

    /// Is the sending session post-quantum authenticated on both sides?
    pub(crate) fn confirmed(&self, contact: &[u8; 32]) -> Result<bool, Error> {
        let sessions = load(self.tx, contact)?;
        Ok(sessions.sending().is_some_and(|session| session.status() == Status::Confirmed))
    }

    /// Does one of the contact's sessions come from this handshake?
    pub(crate) fn knows_handshake(
        &self,
        contact: &[u8; 32],
        init: chopmark_core::handshake::InitId,
    ) -> Result<bool, Error> {
        Ok(load(self.tx, contact)?.of_handshake(init).is_some())
    }
}

fn load(tx: &Tx<'_>, contact: &[u8; 32]) -> Result<Sessions, Error> {
    match tx.load(Kind::Sessions as u8, contact)? {
        Some(bytes) => Sessions::import(&bytes).map_err(|_| Error::Internal("sessions")),
        None => Ok(Sessions::new()),
    }
}

fn save(tx: &mut Tx<'_>, contact: &[u8; 32], sessions: &Sessions) -> Result<(), Error> {
    Ok(tx.store(Kind::Sessions as u8, contact, &sessions.export())?)
}

const OLD_COPY: &str = "this home is an older copy of itself: what was sent since is unknown here, and this contact \
    cannot be written to safely until you are connected anew";
const GIVEN_UP: &str =
    "messages of this contact were lost on their way and cannot come any more; ask what they said";

/// The name of a session, as a row keeps it.
pub(crate) fn name(session: SessionId) -> Blob {
    Blob::new(session.as_bytes())
}

/// A contact has at most five sessions (SPEC §5.8).
const MOST_PROBES: usize = 5;
