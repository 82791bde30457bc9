//! Sessions in the engine: loaded, used and stored inside one transaction, nothing kept between two.
//!
//! SPEC §9.3 [session-in-transaction]: two processes of one home therefore never seal with one key twice.

use bytes::Bytes;
use chopmark_core::handshake::Own;
use chopmark_core::identity::{DeviceEntry, SignedManifest};
use chopmark_core::prekey::{OneTimePrekeySecret, SignedPrekeySecret, VerifiedBundle};
use chopmark_core::session::{
    Acknowledged, Answered, Event, OpenError, Position, Role, Session, SessionId, Status,
};
use chopmark_core::sessions::Sessions;
use chopmark_wire::payload::{Payload, ResendAfter};

use super::blob::Blob;
use super::contact::{Contact, Resend};
use super::knock::Rejected;
use super::outbox::{Slot, Stage};
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Renewal, What};
use crate::store::{Kind, Tx};

/// What a delivery was, once a session opened it.
pub(crate) struct Arrived {
    /// None of a probe, which only moves a session, and of what is no payload.
    pub(crate) payload: Option<Payload>,
    /// Sending moved to another session: what is not acknowledged goes out again there.
    pub(crate) moved: bool,
    /// It showed that the session that opened it is the contact's.
    pub(crate) confirmed: bool,
    /// Which message of which session it was.
    pub(crate) session: SessionId,
    pub(crate) position: Position,
}

impl Turn<'_, '_> {
    /// Begins a session with the device of a bundle. `true`: it is the one that sends.
    pub(crate) fn begin_session(
        &mut self,
        contact: &[u8; 32],
        bundle: &VerifiedBundle,
    ) -> Result<bool, Error> {
        let account = self.account()?;
        let keys = account.device_keys()?;
        let own = Own { account: account.id()?, device: account.device_id(), keys: &keys };
        let session = Session::initiate(&own, bundle, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        let begun = session.id();
        let mut sessions = load(self.tx, contact)?;
        sessions.insert(session);
        save(self.tx, contact, &sessions)?;
        Ok(sessions.sending().is_some_and(|sending| sending.id() == begun))
    }

    /// Opens the first message of a session that someone began; nothing is stored yet.
    pub(crate) fn respond(
        &self,
        signed: &SignedPrekeySecret,
        one_time: Option<&OneTimePrekeySecret>,
        envelope: &[u8],
    ) -> Result<Answered, Rejected> {
        let account = self.account()?;
        let keys = account.device_keys()?;
        let own = Own { account: account.id()?, device: account.device_id(), keys: &keys };
        Session::respond(&own, signed, one_time, envelope, self.now)
            .map_err(|_| Rejected::Drop("a first message that does not open"))
    }

    /// Keeps a session that someone began, now that their manifest vouches for the device. `true`: sending moved to it.
    pub(crate) fn adopt(
        &mut self,
        contact: &[u8; 32],
        answered: Answered,
        entry: &DeviceEntry,
    ) -> Result<bool, Rejected> {
        let mut session = answered.session;
        let account = session.peer().account;
        session
            .introduce(&account, entry)
            .map_err(|_| Rejected::Drop("a device that its manifest does not have"))?;
        let mut sessions = load(self.tx, contact)?;
        let before = sessions.sending().map(Session::id);
        sessions.insert(session);
        save(self.tx, contact, &sessions)?;
        Ok(before != sessions.sending().map(Session::id))
    }

    /// Ends the sessions with devices that a contact's newest manifest does not have (SPEC §5.8 [removed-device-ends]). What
    /// was sealed there waits for another session.
    pub(crate) fn forget_devices(
        &mut self,
        contact: &[u8; 32],
        manifest: &SignedManifest,
    ) -> Result<(), Error> {
        let mut sessions = load(self.tx, contact)?;
        let listed = |session: &Session| {
            let entry = manifest.device(session.peer().device);
            entry.is_some_and(|entry| session.peer().check(manifest.account(), entry).is_ok())
        };
        if sessions.iter().all(listed) {
            return Ok(());
        }
        sessions.retain(listed);
        save(self.tx, contact, &sessions)?;
        self.unseal(contact)
    }

    /// Seals a content on the session that sends; without one it waits.
    ///
    /// The next state is stored in this very transaction, and the envelope leaves after its commit.
    pub(crate) fn seal(&mut self, contact: &[u8; 32], content: &[u8]) -> Result<Stage, Error> {
        let mut sessions = load(self.tx, contact)?;
        let Some(sending) = sessions.sending() else { return Ok(Stage::Unsealed) };
        let opening = sending.status() == Status::Opening;
        let (id, acknowledged) = (sending.id(), sending.acknowledgement());
        // SPEC §2.4 [equivocation-freezes], [recovery-is-acknowledged].
        if Contact::load(self.tx, contact)?.is_some_and(|contact| contact.hold().is_some()) {
            return Ok(Stage::Unsealed);
        }
        let bytes = self.payload(contact, opening, Some(content))?;
        let sealed = sessions
            .seal(&bytes, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        self.acknowledges(contact, id, acknowledged)?;
        let slot = Slot::new(sealed.session(), sealed.position());
        let tx = &mut *self.tx;
        let sent = sealed.commit(|sessions, _| save(tx, contact, sessions))?;
        Ok(Stage::Sealed { envelope: Blob::new(sent.envelope.as_bytes()), slot })
    }

    /// What a body holds. In the first messages of a session also what the other side needs to take it.
    fn payload(
        &mut self,
        contact: &[u8; 32],
        opening: bool,
        content: Option<&[u8]>,
    ) -> Result<Bytes, Error> {
        let account = self.account()?;
        let (mut manifest_bytes, mut resend_after) = (None, None);
        if opening {
            // SPEC §4.3: in message 0 and every 8th until the first reply.
            let mut record = Contact::load(self.tx, contact)?.ok_or(Error::NoSuchContact)?;
            if record.unanswered.is_multiple_of(8) {
                manifest_bytes = Some(account.manifest.to_vec().into());
            }
            record.unanswered = record.unanswered.saturating_add(1);
            record.save(self.tx, contact)?;
            resend_after =
                record.resend.map(|Resend { chain, count }| ResendAfter { chain, count });
        }
        let content = content.map(|content| content.to_vec().into());
        let payload = Payload { manifest: account.mark()?, manifest_bytes, content, resend_after };
        payload.encode().map_err(|error| Error::Seal(error.to_string()))
    }

    /// Opens an envelope on one of a contact's sessions, and stores what follows from it.
    pub(crate) fn open(
        &mut self,
        contact: &[u8; 32],
        envelope: &[u8],
    ) -> Result<Arrived, Rejected> {
        let mut sessions = load(self.tx, contact)?;
        let opened = sessions.open(envelope, self.now).map_err(|error| match error {
            OpenError::PeerRolledBack => Rejected::Renew(*contact, Renewal::PeerRolledBack),
            OpenError::PeerForked => Rejected::Renew(*contact, Renewal::PeerForked),
            OpenError::OwnRolledBack => Rejected::Renew(*contact, Renewal::OwnRollback),
            OpenError::NotForThisSession | OpenError::AlreadyOpened { remembered: false } => {
                Rejected::Unreadable(*contact)
            }
            _ => Rejected::Drop("an envelope that does not open"),
        })?;
        let tx = &mut *self.tx;
        let message = opened.commit(|sessions, _| save(tx, contact, sessions))?;
        // What a session says that is a claim, of us or of itself, is no reason for anything. SPEC §5.8 [claim-waits].
        let vouched = self.is_vouched_for(contact, message.session)?;
        for event in message.events.iter().filter(|_| vouched) {
            // SPEC §5.9 [renewed-by-itself]: none of these heals by itself.
            let why = match event {
                Event::AcknowledgedBeyondSent => Renewal::OwnRollback,
                Event::Evicted { .. } => Renewal::MessagesLost,
                Event::KemObjectRefused => Renewal::KeyRefused,
                _ => continue,
            };
            self.renew(contact, why)?;
        }
        if let Some(acknowledged) = message.acknowledged {
            self.acknowledged_by(contact, message.session, acknowledged)?;
        }
        let confirmed = message.events.contains(&Event::Confirmed);
        if confirmed {
            self.claim_confirmed(contact, message.session)?;
        }
        let payload = Payload::decode(&message.content.to_vec().into()).ok();
        let (moved, session, position) = (message.moved, message.session, message.position);
        Ok(Arrived { payload, moved, confirmed, session, position })
    }

    /// What a session acknowledges is at the contact's device, if the session is theirs. SPEC §5.9
    /// [claimed-acknowledgements].
    pub(crate) fn acknowledged_by(
        &mut self,
        contact: &[u8; 32],
        session: SessionId,
        acknowledged: Acknowledged,
    ) -> Result<(), Error> {
        match self.is_vouched_for(contact, session)? {
            true => self.acknowledged(contact, session, acknowledged),
            false => Ok(()),
        }
    }

    /// Sends what brings sessions on without carrying anything: the step that confirms the one that sends, and the probes
    /// of those that stand beside a confirmed one (SPEC §5.8).
    ///
    /// SPEC §6.9 [no-reaction-before-consent]: only for who was accepted, or was written to first.
    pub(crate) fn nudge_sessions(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        match Contact::load(self.tx, contact)? {
            Some(contact) if contact.hold().is_none() && contact.may_be_answered() => {}
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
            self.renewed(contact)?;
            self.seal_again(contact)?;
        }
        Ok(())
    }

    /// What our next message on a session will acknowledge, if there is a session of this name.
    pub(crate) fn acknowledgement(
        &self,
        contact: &[u8; 32],
        name: &Blob,
    ) -> Result<Option<Acknowledged>, Error> {
        let sessions = load(self.tx, contact)?;
        let found = sessions.iter().find(|session| self::name(session.id()) == *name);
        Ok(found.map(Session::acknowledgement))
    }

    /// The session of this name, if there is one.
    pub(crate) fn named_session(
        &self,
        contact: &[u8; 32],
        name: &Blob,
    ) -> Result<Option<SessionId>, Error> {
        let sessions = load(self.tx, contact)?;
        Ok(sessions.iter().map(Session::id).find(|id| self::name(*id) == *name))
    }

    /// What of the peer's newest chain arrived on the session that sends, for the first messages of another one.
    /// With `all` nothing of it counts.
    pub(crate) fn resend_after(
        &self,
        contact: &[u8; 32],
        all: bool,
    ) -> Result<Option<Resend>, Error> {
        let sessions = load(self.tx, contact)?;
        Ok(sessions.sending().and_then(|sending| {
            let acknowledged = if all { Acknowledged::NOTHING } else { sending.acknowledgement() };
            let Acknowledged { chain, count } = acknowledged;
            let chain = chain_id(sending.id(), u32::try_from(chain).ok()?)?;
            (all || count > 0).then_some(Resend { chain, count })
        }))
    }

    /// The session and the position that `resend_after` names, if there is such a session.
    fn resend_names(
        &self,
        contact: &[u8; 32],
        resend: &ResendAfter,
    ) -> Result<Option<(SessionId, Acknowledged)>, Error> {
        let (_, chain) = resend.chain.split_at(4);
        let chain = chain.try_into().map(u32::from_be_bytes).unwrap_or_default();
        let sessions = load(self.tx, contact)?;
        let named = sessions.iter().find(|it| chain_id(it.id(), chain) == Some(resend.chain));
        let acknowledged = Acknowledged { chain: u64::from(chain), count: resend.count };
        Ok(named.map(|session| (session.id(), acknowledged)))
    }

    /// Does `resend_after` say that the contact saw what we cannot see ourselves: another life of our state?
    pub(crate) fn resend_tells_of_a_copy(
        &self,
        contact: &[u8; 32],
        resend: &ResendAfter,
    ) -> Result<bool, Error> {
        let named = self.resend_names(contact, resend)?;
        Ok(named.is_some_and(|(_, acknowledged)| acknowledged == Acknowledged::NOTHING))
    }

    /// SPEC §5.9 [copy-is-told].
    pub(crate) fn tell_of_a_copy(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        let (contact, why) = ((*contact).into(), Renewal::CopyNoticed);
        self.emit(What::SessionRenewed { contact, why })
    }

    /// The peer begins anew and says what it has of the session before: the rest is sealed again with everything else that
    /// is not acknowledged, once sending moves.
    pub(crate) fn resent(&mut self, contact: &[u8; 32], resend: &ResendAfter) -> Result<(), Error> {
        let Some((session, acknowledged)) = self.resend_names(contact, resend)? else {
            return Ok(());
        };
        if acknowledged == Acknowledged::NOTHING
            && let Some(mut record) = Contact::load(self.tx, contact)?
            && !record.doubtful
        {
            // Once sending moved away from there, what is acknowledged is of this life.
            record.doubtful = self.sending_session(contact)? == Some(session);
            record.save(self.tx, contact)?;
            return self.revive(contact);
        }
        self.acknowledged(contact, session, acknowledged)
    }

    /// Has the session that sends gone unanswered for so long that its first messages may never be read (SPEC §4.5)?
    pub(crate) fn is_unanswered(&self, contact: &[u8; 32]) -> Result<bool, Error> {
        let sessions = load(self.tx, contact)?;
        Ok(sessions.sending().is_some_and(|sending| sending.is_unanswered(self.now)))
    }

    pub(crate) fn probe(&mut self, contact: &[u8; 32], session: SessionId) -> Result<(), Error> {
        let mut sessions = load(self.tx, contact)?;
        // What answers is empty; the first messages of a session bring the manifest without which nobody takes it.
        let opening = sessions.find(session).is_some_and(|it| it.status() == Status::Opening);
        let bytes = if opening { self.payload(contact, true, None)? } else { Bytes::new() };
        if let Some(it) = sessions.find(session) {
            self.acknowledges(contact, session, it.acknowledgement())?;
        }
        let sealed = sessions
            .seal_probe(session, &bytes, self.now, self.rng)
            .map_err(|error| Error::Seal(error.to_string()))?;
        let slot = Slot::new(sealed.session(), sealed.position());
        let tx = &mut *self.tx;
        let sent = sealed.commit(|sessions, _| save(tx, contact, sessions))?;
        let stage = Stage::Sealed { envelope: Blob::new(sent.envelope.as_bytes()), slot };
        self.queue_probe(contact, stage)
    }

    /// The session on which content goes out.
    pub(crate) fn sending_session(&self, contact: &[u8; 32]) -> Result<Option<SessionId>, Error> {
        Ok(load(self.tx, contact)?.sending().map(Session::id))
    }

    /// Is it certain that what comes on a session of this name is the contact's? Only they can read what we began; what
    /// they began is theirs once it is confirmed.
    pub(crate) fn is_vouched_for(
        &self,
        contact: &[u8; 32],
        session: SessionId,
    ) -> Result<bool, Error> {
        let sessions = load(self.tx, contact)?;
        let ours = |it: &Session| it.role() == Role::Initiator;
        let found = sessions.find(session);
        Ok(found.is_some_and(|it| ours(it) || it.status() == Status::Confirmed))
    }

    /// The names of all sessions with a contact.
    pub(crate) fn session_names(&self, contact: &[u8; 32]) -> Result<Vec<Blob>, Error> {
        let sessions = load(self.tx, contact)?;
        Ok(sessions.iter().map(|session| name(session.id())).collect())
    }

    /// Ends the sessions that the contact began long ago and that were never confirmed.
    pub(crate) fn expire_sessions(&mut self, contact: &[u8; 32]) -> Result<(), Error> {
        let mut sessions = load(self.tx, contact)?;
        match sessions.expire(self.now).is_empty() {
            true => Ok(()),
            false => save(self.tx, contact, &sessions),
        }
    }

    /// When the newest session that is not confirmed was begun.
    pub(crate) fn newest_unconfirmed(&self, contact: &[u8; 32]) -> Result<Option<u64>, Error> {
        let sessions = load(self.tx, contact)?;
        let unconfirmed = sessions.iter().filter(|session| session.status() != Status::Confirmed);
        Ok(unconfirmed.map(|session| session.created().as_millis()).max())
    }

    /// Is the contact authenticated post-quantum, on the session that sends and on each that it began?
    pub(crate) fn confirmed(&self, contact: &[u8; 32]) -> Result<bool, Error> {
        let sessions = load(self.tx, contact)?;
        let confirmed = |session: &Session| session.status() == Status::Confirmed;
        // SPEC §5.8 [claim-shows]: what it brings is shown beside the rest, and may be a thief's.
        let claims = |session: &Session| session.role() == Role::Responder && !confirmed(session);
        Ok(sessions.sending().is_some_and(confirmed) && !sessions.iter().any(claims))
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

/// How `resend_after` names a chain: the first 4 bytes of the session's id and the chain's number (SPEC §5.9).
fn chain_id(session: SessionId, chain: u32) -> Option<[u8; 8]> {
    let (session, _) = session.as_bytes().split_first_chunk::<4>()?;
    [session.as_slice(), &chain.to_be_bytes()].concat().try_into().ok()
}

/// The name of a session, as a row keeps it.
pub(crate) fn name(session: SessionId) -> Blob {
    Blob::new(session.as_bytes())
}

/// A contact has at most seven sessions (SPEC §5.8).
const MOST_PROBES: usize = 7;
