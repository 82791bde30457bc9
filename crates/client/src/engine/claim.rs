//! What a session brings that its contact began and that is not confirmed: it may be a thief's. It is kept as a claim of
//! that session, shown as one, and takes force when the session is confirmed. SPEC §5.8, §6.9.

use bytes::Bytes;
use chopmark_core::session::SessionId;
use chopmark_wire::content::Introduction;
use chopmark_wire::payload::ResendAfter;
use serde::{Deserialize, Serialize};

use super::blob::Blob;
use super::contact::{Contact, Reach, Source};
use super::money::Asked;
use super::turn::Turn;
use crate::error::Error;
use crate::event::{Message, What};
use crate::store::{Kind, Log};

/// What one session claims of its contact.
#[derive(Serialize, Deserialize)]
pub(crate) struct Claim {
    session: Blob,
    places: Option<Places>,
    /// The chain and the count of `resend_after`.
    resend: Option<([u8; 8], u32)>,
}

/// What an introduction says.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Places {
    reach: Vec<Reach>,
    source: Option<Source>,
    lock_keys: Vec<Blob>,
}

/// Something that came on a session that was not confirmed.
#[derive(Serialize, Deserialize)]
struct Claimed {
    session: Blob,
    what: Lifted,
}

/// What becomes of it when the session is confirmed.
#[derive(Serialize, Deserialize)]
enum Lifted {
    /// This row of the history is marked no more.
    Message(u64),
    /// This request can be paid.
    Request(Blob),
    /// This content does what it says.
    Content(Blob),
}

impl Places {
    pub(crate) fn of(introduction: &Introduction) -> Self {
        let mut endpoints: Vec<_> = introduction.endpoints.iter().collect();
        endpoints.sort_by_key(|endpoint| endpoint.priority);
        let reach = endpoints.iter().map(|endpoint| Reach {
            relay: endpoint.relay.to_string(),
            capability: Blob::new(&endpoint.capability),
        });
        // SPEC §6.10: where a bundle for us alone is fetched, when the session cannot be gone on with.
        let renewal = endpoints.iter().find_map(|it| Some((it.relay.to_string(), it.renewal?)));
        Self {
            reach: reach.collect(),
            source: renewal.map(|(relay, secret)| Source { relay, secret: Blob::new(&secret) }),
            lock_keys: introduction.lock_keys.iter().map(|key| Blob::new(key)).collect(),
        }
    }
}

impl Contact {
    /// From now on they are reached there.
    pub(crate) fn take_places(&mut self, places: Places) {
        self.reach = places.reach;
        self.source = places.source.or(self.source.take());
        self.lock_keys = places.lock_keys;
    }

    /// Where their bundle is fetched. Whoever says so first is believed while nothing is known: a bundle proves itself.
    pub(crate) fn bundle_source(&self) -> Option<&Source> {
        let claimed = || self.places().find_map(|(_, places)| places.source.as_ref());
        self.source.as_ref().or_else(claimed)
    }

    /// Where envelopes leave for that this session sealed: where it says, if it is not confirmed, else where they are
    /// reached. SPEC §6.9 [claimed-endpoints].
    pub(crate) fn reach_on(&self, session: &Blob) -> Option<&Reach> {
        let own = self.places().find(|(claim, _)| *claim == session);
        let own = own.and_then(|(_, places)| places.reach.first());
        let first = || self.places().find_map(|(_, places)| places.reach.first());
        own.or(self.reach.first()).or_else(first)
    }

    fn places(&self) -> impl Iterator<Item = (&Blob, &Places)> {
        self.claims.iter().filter_map(|it| Some((&it.session, it.places.as_ref()?)))
    }

    /// Changes what a session claims; its first claim comes behind those of others.
    fn claim(&mut self, session: &Blob, change: impl FnOnce(&mut Claim)) {
        if let Some(known) = self.claims.iter_mut().find(|it| it.session == *session) {
            return change(known);
        }
        let mut claim = Claim { session: session.clone(), places: None, resend: None };
        change(&mut claim);
        self.claims.push(claim);
    }
}

impl Turn<'_, '_> {
    /// The session of that name if it only claims to be the contact's: they began it and it is not confirmed, or it is gone.
    pub(crate) fn claim_of(
        &self,
        contact: &[u8; 32],
        session: SessionId,
    ) -> Result<Option<Blob>, Error> {
        let vouched = self.is_vouched_for(contact, session)?;
        Ok((!vouched).then(|| super::session::name(session)))
    }

    /// What an introduction says on a session that is not confirmed.
    pub(crate) fn claim_places(
        &mut self,
        id: &[u8; 32],
        session: &Blob,
        places: Places,
    ) -> Result<(), Error> {
        let mut contact = self.with_claims(id)?;
        contact.claim(session, |claim| claim.places = Some(places));
        Ok(contact.save(self.tx, id)?)
    }

    /// What a session that is not confirmed says of messages that arrived on another one.
    pub(crate) fn claim_resend(
        &mut self,
        id: &[u8; 32],
        session: &Blob,
        resend: &ResendAfter,
    ) -> Result<(), Error> {
        let mut contact = self.with_claims(id)?;
        let said = Some((resend.chain, resend.count));
        if contact.claims.iter().any(|claim| claim.session == *session && claim.resend == said) {
            return Ok(());
        }
        contact.claim(session, |claim| claim.resend = said);
        contact.save(self.tx, id)?;
        // The user is told at once, whoever it is that says so: it takes the id of a session.
        if self.resend_tells_of_a_copy(id, resend)? { self.tell_of_a_copy(id) } else { Ok(()) }
    }

    /// A contact with the claims of the sessions that there are.
    fn with_claims(&self, id: &[u8; 32]) -> Result<Contact, Error> {
        let mut contact = Contact::load(self.tx, id)?.ok_or(Error::NoSuchContact)?;
        let sessions = self.session_names(id)?;
        contact.claims.retain(|claim| sessions.contains(&claim.session));
        Ok(contact)
    }

    /// A content that came on a session that is not confirmed, and that has no form in which it could be shown as a claim.
    pub(crate) fn defer(
        &mut self,
        id: &[u8; 32],
        session: &Blob,
        raw: &Bytes,
    ) -> Result<(), Error> {
        self.note_claimed(id, session, Lifted::Content(Blob::new(raw)))
    }

    /// A row of the history is shown as a claim of this session.
    pub(crate) fn mark_message(
        &mut self,
        id: &[u8; 32],
        session: &Blob,
        seq: u64,
    ) -> Result<(), Error> {
        self.note_claimed(id, session, Lifted::Message(seq))
    }

    /// A request is a claim of this session.
    pub(crate) fn mark_request(
        &mut self,
        id: &[u8; 32],
        session: &Blob,
        request: &[u8; 32],
    ) -> Result<(), Error> {
        self.note_claimed(id, session, Lifted::Request(Blob::new(request)))
    }

    fn note_claimed(&mut self, id: &[u8; 32], session: &Blob, what: Lifted) -> Result<(), Error> {
        // SPEC §5.8 [claims-are-bounded]: what is beyond that is forgotten, and its marks stay.
        if self.tx.rows_after(Log::Claimed, Some(id), 0, CLAIMED_MOST)?.len()
            >= CLAIMED_MOST as usize
        {
            return Ok(());
        }
        self.tx.push(Log::Claimed, id, &Claimed { session: session.clone(), what })?;
        Ok(())
    }

    /// A session is confirmed, and what it claimed takes force. SPEC §5.8 [claim-waits].
    pub(crate) fn claim_confirmed(
        &mut self,
        id: &[u8; 32],
        session: SessionId,
    ) -> Result<(), Error> {
        let mut contact = self.with_claims(id)?;
        let name = super::session::name(session);
        let Some(at) = contact.claims.iter().position(|claim| claim.session == name) else {
            return Ok(());
        };
        let Claim { places, resend, .. } = contact.claims.remove(at);
        let moved = places.is_some();
        if let Some(places) = places {
            contact.take_places(places);
        }
        contact.save(self.tx, id)?;
        if moved {
            self.hurry(id)?;
        }
        match resend {
            Some((chain, count)) => self.resent(id, &ResendAfter { chain, count }),
            None => Ok(()),
        }
    }

    /// What came on a session that is now confirmed is the contact's.
    pub(crate) fn lift_claimed(&mut self, id: &[u8; 32], session: SessionId) -> Result<(), Error> {
        let name = super::session::name(session);
        let mut lifted = false;
        for (seq, claimed) in self.tx.list::<Claimed>(Log::Claimed, Some(id), 0, u32::MAX)? {
            if claimed.session != name {
                continue;
            }
            self.tx.remove(Log::Claimed, seq)?;
            lifted |= !matches!(claimed.what, Lifted::Content(_));
            match claimed.what {
                Lifted::Message(seq) => self.lift_message(seq)?,
                Lifted::Request(request) => self.lift_request(&request)?,
                Lifted::Content(raw) => {
                    self.take_content(id, &Bytes::copy_from_slice(&raw), None)?
                }
            }
        }
        match lifted {
            true => self.emit(What::ContactConfirmed { contact: (*id).into() }),
            false => Ok(()),
        }
    }

    pub(crate) fn lift_message(&mut self, seq: u64) -> Result<(), Error> {
        let Some(row) = self.tx.row(Log::Messages, seq)? else { return Ok(()) };
        let mut message: Message = super::record::decode(&row.value)?;
        message.confirmed = true;
        Ok(self.tx.rewrite(Log::Messages, seq, &super::record::encode(&message)?)?)
    }

    pub(crate) fn lift_request(&mut self, request: &[u8]) -> Result<(), Error> {
        let Some(mut asked) = self.tx.find::<Asked>(Kind::Request, request)? else { return Ok(()) };
        asked.confirmed = true;
        Ok(self.tx.put(Kind::Request, request, &asked)?)
    }

    /// Sessions that were never confirmed end, and what they claimed with them. SPEC §5.8 [unconfirmed-expires].
    pub(crate) fn expire_claims(&mut self) -> Result<(), Error> {
        for (id, contact) in self.tx.every::<Contact>(Kind::Contact)? {
            let Ok(id) = <[u8; 32]>::try_from(id.as_slice()) else { continue };
            self.expire_sessions(&id)?;
            let sessions = self.session_names(&id)?;
            if contact.claims.iter().any(|claim| !sessions.contains(&claim.session)) {
                self.with_claims(&id)?.save(self.tx, &id)?;
            }
            for (seq, claimed) in self.tx.list::<Claimed>(Log::Claimed, Some(&id), 0, u32::MAX)? {
                if !sessions.contains(&claimed.session) {
                    self.tx.remove(Log::Claimed, seq)?;
                }
            }
        }
        Ok(())
    }

    /// Forgets what was claimed in someone's name.
    pub(crate) fn drop_claims(&mut self, id: &[u8; 32]) -> Result<(), Error> {
        for row in self.tx.rows_after(Log::Claimed, Some(id), 0, u32::MAX)? {
            self.tx.remove(Log::Claimed, row.seq)?;
        }
        Ok(())
    }
}

/// So much is kept of what the unconfirmed sessions of one contact brought.
const CLAIMED_MOST: u32 = 256;
